import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fanoutMetrics } from '../../../fanout/operations/fanout-metrics.ts';
import { formatTop } from '../../../fanout/operations/top.ts';
import { Counters, latencyBoundsUs } from '../../../fanout/relay/counters.ts';

const replicas = [
  { id: 'a"b', endpoint: '127.0.0.1:7', role: 'primary', condition: 'alive', readiness: 'ready', sends: 5, replies: 4 },
] as const;

function stats(workers: readonly Counters[]) {
  return { workers, replicas, changes: new Map([['refused', 2]]), isReady: true, isDraining: false };
}

test('metrics add up the workers and name every reason', async () => {
  const workers = [new Counters(), new Counters()];
  for (const counters of workers) {
    counters.add('datagramsIn', 10);
    counters.drop('draining', 2);
    counters.set('sessions', 3);
  }
  const text = await fanoutMetrics(() => stats(workers)).metrics();
  assert.match(text, /^spotable_fanout_downstream_datagrams_received_total 20$/m);
  assert.match(text, /^spotable_fanout_drops_total\{reason="draining"\} 4$/m);
  assert.match(text, /^spotable_fanout_sessions\{worker="1"\} 3$/m);
  assert.match(text, /^spotable_fanout_replica_primary\{replica="a\\"b"\} 1$/m);
  assert.match(text, /^spotable_fanout_primary_changes_total\{reason="refused"\} 2$/m);
});

test('the latency histogram is cumulative, in seconds, and ends with +Inf', async () => {
  const counters = new Counters();
  for (const microseconds of [1, 30, 30, 1e9]) counters.observeLatencyUs(microseconds);
  const text = await fanoutMetrics(() => stats([counters])).metrics();
  assert.match(text, /_bucket\{le="0\.000025"\} 1$/m);
  assert.match(text, /_bucket\{le="0\.00005"\} 3$/m);
  assert.match(text, /_bucket\{le="\+Inf"\} 4$/m);
  assert.match(text, /_count 4$/m);
  assert.match(text, /_sum 1000\.000061$/m);
  assert.equal(text.match(/_bucket/g)?.length, latencyBoundsUs.length + 1);
});

test('each metric is described once and every line is well formed', async () => {
  const text = await fanoutMetrics(() => stats([new Counters()])).metrics();
  const lines = text.split('\n').filter((line) => line !== '');
  const described = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
  assert.equal(new Set(described).size, described.length);
  for (const line of lines)
    assert.match(line, /^(# (HELP|TYPE) spotable_fanout_\w+ .+|spotable_fanout_\w+(\{[^}]*\})? -?[\d.e+-]+)$/);
});

test('the terminal view names the primary and only the drops there are', () => {
  const counters = new Counters();
  counters.drop('amplification', 7);
  const text = formatTop(stats([counters]), { datagramsIn: 1000, datagramsOut: 1000, copies: 2000 });
  assert.match(text, /127\.0\.0\.1:7\s+primary\s+alive/);
  assert.match(text, /drops: amplification 7$/m);
  assert.match(text, /in 1,000\/s {2}to replicas 2,000\/s/);
});
