import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ControlPlane, type ControlRules } from '../../../fanout/election/control-plane.ts';
import type { Upstream } from '../../../fanout/election/upstream.ts';
import { Counters, maxReplicas } from '../../../fanout/relay/counters.ts';
import type { View } from '../../../fanout/relay/session.ts';
import type { RelayWorker } from '../../../fanout/workers/relay-worker.ts';
import { silentLog } from '../../../shared/log.ts';

const rules: ControlRules = {
  requiresSync: false,
  leaveBeforeDeadlineMs: undefined,
  missedReplies: 3,
  minSilenceMs: 50,
};

function upstream(id: string): Upstream {
  return { id, address: '127.0.0.1', port: 7000, readiness: 'ready', isInSync: undefined, deadlineMs: undefined };
}

function start(ids: readonly string[], workerCount = 1) {
  const views: View[][] = [];
  const workers = Array.from({ length: workerCount }, (): RelayWorker => {
    const seen: View[] = [];
    views.push(seen);
    return {
      counters: new Counters(),
      port: 1,
      apply: (view) => seen.push(view),
      drain: () => {},
      stop: async () => {},
    };
  });
  const control = new ControlPlane({ rules, workers, log: silentLog, now: () => 0 });
  control.setUpstreams(ids.map(upstream));
  /** Traffic on the first worker, by place, and a tick after it. */
  const tick = (answering: readonly number[], asked: readonly number[] = ids.map((_, slot) => slot)) => {
    for (const slot of asked) workers[0]?.counters.sent(slot);
    for (const slot of answering) workers[0]?.counters.replied(slot);
    control.tick(10);
  };
  const ticks = (count: number, answering: readonly number[]) => {
    for (let turn = 0; turn < count; turn++) tick(answering);
  };
  const conditions = () => control.replicas.map(({ condition }) => condition);
  return { control, views, ticks, conditions };
}

test('every worker is told the same primary', () => {
  const { control, views, ticks } = start(['a', 'b'], 3);
  ticks(5, [0, 1]);
  const slot = views[0]?.at(-1)?.slots[0];
  assert.ok(slot);
  control.refused(slot);
  assert.deepEqual(
    views.map((seen) => seen.at(-1)?.primary),
    [1, 1, 1],
  );
  assert.equal(control.primaryId, 'b');
});

test('a silent primary is replaced, unless all replicas are silent', () => {
  const alone = start(['a', 'b']);
  alone.ticks(20, [0, 1]);
  alone.ticks(20, [1]);
  assert.equal(alone.control.primaryId, 'b');
  const all = start(['a', 'b']);
  all.ticks(20, [0, 1]);
  all.ticks(200, []);
  assert.equal(all.control.primaryId, 'a');
  assert.deepEqual(all.conditions(), ['alive', 'alive']);
});

test('a refusal is forgotten when the port accepts datagrams again, even if the replica never replies', () => {
  const { control, views, ticks, conditions } = start(['a', 'b']);
  ticks(20, [0, 1]);
  const slot = views[0]?.at(-1)?.slots[1];
  assert.ok(slot);
  for (let second = 0; second < 10; second++) {
    control.refused(slot);
    ticks(100, [0]);
    assert.equal(conditions()[1], 'refused');
  }
  ticks(400, [0]);
  assert.equal(conditions()[1], 'silent');
});

test('a reply counted before a refusal is not a sign of life after it', () => {
  const { control, views, ticks, conditions } = start(['a', 'b']);
  ticks(5, [0, 1]);
  const slot = views[0]?.at(-1)?.slots[0];
  assert.ok(slot);
  control.refused(slot);
  ticks(1, [1]);
  assert.deepEqual(conditions(), ['refused', 'alive']);
});

test('replicas beyond the maximum wait without a slot, and get one when it is free', () => {
  const ids = Array.from({ length: maxReplicas + 1 }, (_, index) => `r${index}`);
  const { control, views } = start(ids);
  assert.equal(views[0]?.at(-1)?.slots.length, maxReplicas);
  control.setUpstreams(ids.slice(1).map(upstream));
  const slots = views[0]?.at(-1)?.slots ?? [];
  assert.equal(slots.length, maxReplicas);
  assert.equal(new Set(slots.map(({ index }) => index)).size, maxReplicas);
  assert.equal(new Set(slots.map(({ generation }) => generation)).size, maxReplicas);
});
