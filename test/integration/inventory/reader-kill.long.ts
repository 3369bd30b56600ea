import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { InventoryStore } from '../../../inventory/store/inventory-store.ts';
import type { GameServerState, InventoryEvent } from '../../../shared/events/event.ts';
import { startEventQueue, until } from './event-queue-fixture.ts';
import { spawnReader } from './reader-process.ts';
import { sampleEvent } from './sample-events.ts';

const kills = 50;
const gameServers = 1000;

test(`a reader that is killed ${kills} times under load loses nothing, counts nothing twice, and ends with the right table`, async () => {
  await using queue = await startEventQueue('events', { VisibilityTimeout: '1' });
  const folder = await mkdtemp(join(tmpdir(), 'inventory-kill-'));
  const state = join(folder, 'state.sqlite');
  const args = ['--queue-url', queue.url, '--state', state, '--json'];
  const load = startLoad(queue.send);
  try {
    let wrote = 0;
    for (let kill = 0; kill < kills; kill++) {
      const reader = spawnReader(args);
      const closed = once(reader, 'close');
      // From the first thing it does on, the moment is left to chance: between receiving, folding, storing and
      // deleting.
      const hasSpoken = once(reader.stdout ?? reader, 'data', { signal: AbortSignal.timeout(10_000) });
      await hasSpoken.then(() => wrote++);
      await sleep(Math.random() * 60);
      reader.kill('SIGKILL');
      await closed;
    }
    assert.equal(wrote, kills, 'each reader was at work when it was killed');
    const expected = await load.stop();
    const last = spawnReader(args);
    const lastClosed = once(last, 'close');
    last.stdout?.resume();
    await until('the queue is empty', async () => (await queue.size()) === 0, 60_000);
    last.kill('SIGTERM');
    await lastClosed;
    const store = new InventoryStore(state, queue.url);
    const { gameServers: records, counts } = store.read();
    store.close();
    assert.equal(counts.get('folded'), expected.events, 'each event counted once');
    const table = records.map(({ id, living, terminated }) => [id, (terminated ?? living)?.event.data.status]).sort();
    assert.deepEqual(table, [...expected.statuses].sort());
    assert.ok((counts.get('repeat') ?? 0) > 0, 'some messages came again');
  } finally {
    await load.stop();
    rmSync(folder, { recursive: true });
  }
});

interface Sent {
  readonly events: number;
  readonly statuses: ReadonlyMap<string, GameServerState>;
}

/** Sends lives of game servers, batch after batch, until it is told to stop; resolves with what was sent. */
function startLoad(send: (events: readonly InventoryEvent[]) => Promise<void>): { stop(): Promise<Sent> } {
  const sequences = new Map<string, number>();
  const statuses = new Map<string, GameServerState>();
  let events = 0;
  let isStopping = false;
  const running = (async () => {
    while (!isStopping) {
      const batch = Array.from({ length: 15 }, () => {
        const id = `gs-${Math.floor(Math.random() * gameServers)}`;
        const sequence = (sequences.get(id) ?? 0) + 1;
        const isOver = statuses.get(id) === 'terminated';
        const status: GameServerState = sequence % 2 === 0 ? 'ready' : 'allocated';
        if (isOver) return undefined;
        sequences.set(id, sequence);
        const said = Math.random() < 0.01 ? 'terminated' : status;
        statuses.set(id, said);
        return sampleEvent({ id, status: said, sequence, leaseMs: 3_600_000 });
      }).filter((event) => event !== undefined);
      events += batch.length;
      if (batch.length > 0) await send(batch);
      await sleep(50);
    }
    return { events, statuses };
  })();
  return {
    stop: () => {
      isStopping = true;
      return running;
    },
  };
}
