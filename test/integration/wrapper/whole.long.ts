import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { names, received, startQueue, toQueue } from './queue-scene.ts';
import { eventually, fixture, temporaryFolder, WrapperProcess } from './wrapper-process.ts';

// The same as in init.test.ts and inventory.test.ts, in full length.

suite('A wrapper', { concurrency: 2 }, () => {
  test('ends with the status of its game, each from 0 to 255', async (t) => {
    const statuses = Array.from({ length: 256 }, (_, status) => status);
    for (let index = 0; index < statuses.length; index += 8)
      await Promise.all(
        statuses.slice(index, index + 8).map(async (status) => {
          const wrapper = new WrapperProcess(t, [], ['sh', '-c', `exit ${status}`]);
          assert.equal(await wrapper.status(), status);
        }),
      );
  });

  test('brings all events in order, none twice, after the queue was down for a minute', async (t) => {
    const service = await startQueue(t);
    const file = `${temporaryFolder(t)}/status.json`;
    const flags = ['--heartbeat', '1s', '--lease', '90s', '--status-file', file];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts'), toQueue(service));
    await eventually('it is ready for others', async () => names(await received(service)).includes('ready'));
    const before = (await received(service)).length;
    service.faults.add({ fault: { kind: 'status', status: 503 } });
    // A match begins and ends in the dark, first while the queue answers with errors, then while it hangs.
    for (const [allocated, fault] of [
      [true, { kind: 'hang' }],
      [false, { kind: 'status', status: 500 }],
      [true, { kind: 'reset' }],
    ] as const) {
      writeFileSync(file, JSON.stringify({ players: allocated ? 8 : 0, allocated }));
      await sleep(20_000);
      service.faults.clear();
      service.faults.add({ fault });
    }
    assert.equal((await received(service)).length, before, 'something came through while the queue was down');
    service.faults.clear();
    await eventually('the end of the dark', async () =>
      (await received(service)).some(({ data }, index) => index >= before && data.status === 'allocated'),
    );
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
    const events = await received(service);
    assert.deepEqual(
      names(events).filter((name) => name !== 'heartbeat'),
      ['starting', 'ready', 'allocated', 'ready', 'allocated', 'terminating', 'terminated'],
    );
    const sequences = events.map(({ data }) => data.sequence);
    assert.deepEqual(
      sequences,
      sequences.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
    assert.equal((await wrapper.said('Game server ended'))['unsentEvents'], 0);
  });
});
