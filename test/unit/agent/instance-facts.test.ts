import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InstanceFacts } from '../../../agent/instance-facts.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import { type MetadataClient, MetadataError } from '../../../shared/metadata/metadata-client.ts';

/** A metadata service whose first answers are missing, and whose answer for `bad` is a directory. */
function facts(missing: number, bad = 'none', place?: { readonly region: string; readonly instanceId: string }) {
  const asked: string[] = [];
  const get = async (path: string) => {
    asked.push(path);
    if (asked.length <= missing) throw new MetadataError('connection', 'no answer');
    if (path.endsWith(bad)) return { kind: 'found', body: 'network/' };
    return { kind: 'found', body: path.endsWith('/instance-id') ? 'i-0abc' : 'x' };
  };
  const metadata = { get } as unknown as MetadataClient;
  const parts = { metadata, clock: systemClock, log: silentLog, random: () => 0, placeOfNode: () => place };
  return { asked, instance: new InstanceFacts(parts) };
}

const { signal } = new AbortController();
const nameOf = (path: string) => path.split('/').at(-1);

describe('what stands for the instance', () => {
  test('is its id, which is asked for once', async () => {
    const { asked, instance } = facts(0);
    assert.equal(await instance.identity(() => 'n-1', signal), 'i-0abc');
    assert.equal(await instance.identity(() => 'n-1', signal), 'i-0abc');
    assert.deepEqual(asked.map(nameOf), ['instance-id', 'region']);
    assert.equal(instance.known.region, 'x', 'an event that is published now says where from');
  });

  test('is something else only while the metadata service cannot say it', async () => {
    const { asked, instance } = facts(1);
    assert.equal(await instance.identity(() => 'n-1', signal), 'n-1');
    assert.equal(await instance.identity(() => 'n-1', signal), 'n-1');
    const idsAsked = asked.filter((path) => nameOf(path) === 'instance-id');
    assert.equal(idsAsked.length, 1, 'a notice does not wait for its name again');
    await instance.learn(signal);
    assert.equal(await instance.identity(() => 'n-1', signal), 'i-0abc');
  });

  test('is what the node says as long as the metadata service says nothing', async () => {
    const { asked, instance } = facts(99, 'none', { region: 'eu-west-1', instanceId: 'i-0node' });
    assert.equal(await instance.identity(() => 'n-1', signal), 'i-0node');
    assert.deepEqual([instance.known.region, asked.length], ['eu-west-1', 0]);
  });

  test('keeps no notice waiting where the metadata service takes its time', async () => {
    const metadata = { get: () => new Promise(() => {}) } as unknown as MetadataClient;
    const parts = { metadata, clock: systemClock, log: silentLog, placeOfNode: () => undefined };
    assert.equal(await new InstanceFacts(parts).identity(() => 'n-1', signal), 'n-1');
  });
});

test('one fact that is none hides no other, and is asked for again', async () => {
  const { asked, instance } = facts(0, '/ipv6');
  const stop = new AbortController();
  const learning = instance.learn(stop.signal);
  const bad = () => asked.filter((path) => path.endsWith('/ipv6')).length;
  for (const giveUpMs = Date.now() + 10_000; bad() < 2; await new Promise((resolve) => setTimeout(resolve, 10)))
    assert.ok(Date.now() < giveUpMs, 'it was not asked again');
  const { instanceId, zone, ipv6 } = instance.known;
  assert.deepEqual([instanceId, zone, ipv6], ['i-0abc', 'x', undefined]);
  assert.equal(asked.filter((path) => path.endsWith('/instance-id')).length, 1);
  stop.abort();
  await learning;
});
