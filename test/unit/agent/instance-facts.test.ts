import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InstanceFacts } from '../../../agent/instance-facts.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import type { MetadataClient } from '../../../shared/metadata/metadata-client.ts';

/** A metadata service whose first answers are missing. */
function facts(missing: number) {
  const asked: string[] = [];
  const get = async (path: string) => {
    asked.push(path);
    if (asked.length <= missing) throw new Error('no answer');
    return { kind: 'found', body: path.endsWith('/instance-id') ? 'i-0abc' : 'x' };
  };
  const metadata = { get } as unknown as MetadataClient;
  return { asked, instance: new InstanceFacts({ metadata, clock: systemClock, log: silentLog, random: () => 0 }) };
}

const { signal } = new AbortController();

describe('what stands for the instance', () => {
  test('is its id, which is asked for once', async () => {
    const { asked, instance } = facts(0);
    assert.equal(await instance.identity(() => 'n-1', signal), 'i-0abc');
    assert.equal(await instance.identity(() => 'n-1', signal), 'i-0abc');
    assert.equal(asked.length, 1);
  });

  test('is something else only while the metadata service cannot say it', async () => {
    const { asked, instance } = facts(1);
    assert.equal(await instance.identity(() => 'n-1', signal), 'n-1');
    assert.equal(await instance.identity(() => 'n-1', signal), 'n-1');
    assert.equal(asked.length, 1, 'a notice does not wait for its name again');
    await instance.learn(signal);
    assert.equal(await instance.identity(() => 'n-1', signal), 'i-0abc');
  });
});
