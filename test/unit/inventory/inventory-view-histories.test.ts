import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InventoryView } from '../../../inventory/fold/inventory-view.ts';
import { type History, randomOf, shuffle, simulateHistory } from './simulated-history.ts';

interface Told {
  readonly status: string;
  readonly players: number | null;
  readonly deadline: string | null;
}

function foldInRandomOrder({ deliveries, endMs }: History, seed: number): InventoryView {
  const random = randomOf(seed);
  const view = new InventoryView();
  const firstMs = endMs - 300_000;
  let nowMs = firstMs;
  for (const { event, heardMs } of shuffle(deliveries, random)) {
    const outcome = view.apply(event, heardMs);
    assert.notEqual(outcome.kind, 'conflict');
    // Leases run out at arbitrary moments between the messages, but never past the end.
    nowMs += random() * (endMs - nowMs) * 0.1;
    if (random() < 0.3) view.expire(nowMs);
  }
  view.expire(endMs);
  return view;
}

function told(view: InventoryView): Map<string, Told> {
  return new Map(
    view.rows().map(({ game_server_id, status, players, deadline }) => [game_server_id, { status, players, deadline }]),
  );
}

const byKey = <V>(entries: Iterable<readonly [string, V]>): [string, V][] =>
  [...entries].map(([key, value]): [string, V] => [key, value]).sort(([a], [b]) => (a < b ? -1 : 1));

test('10,000 random histories, shuffled, repeated and with heartbeats lost, end in the table that is true', () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 10_000; seed++) {
    const history = simulateHistory(seed);
    const view = foldInRandomOrder(history, seed * 31);
    assert.deepEqual(byKey(told(view)), byKey(history.truth), `seed ${seed}`);
    for (const { status } of history.truth.values()) seen.set(status, (seen.get(status) ?? 0) + 1);
  }
  // The histories are worth nothing if they do not reach every end.
  for (const status of ['ready', 'allocated', 'terminating', 'terminated', 'lost'])
    assert.ok((seen.get(status) ?? 0) > 500, `${status} was the end of ${seen.get(status)} game servers`);
});

test('two readers that hear the same in different orders show the same rows, to the last field', () => {
  for (let seed = 20_001; seed <= 20_500; seed++) {
    const history = simulateHistory(seed);
    const tables = [7, 8].map((order) =>
      byKey(
        foldInRandomOrder(history, seed * order)
          .rows()
          .map((row) => [row.game_server_id, row] as const),
      ),
    );
    assert.deepEqual(tables[0], tables[1], `seed ${seed}`);
  }
});

test('each event counts once, however often and in whatever order it comes', () => {
  for (let seed = 30_001; seed <= 30_500; seed++) {
    const { deliveries } = simulateHistory(seed);
    const view = new InventoryView();
    let counted = 0;
    for (const { event, heardMs } of shuffle(deliveries, randomOf(seed)))
      if (view.apply(event, heardMs).kind === 'folded') counted++;
    assert.equal(counted, new Set(deliveries.map(({ event }) => event.id)).size, `seed ${seed}`);
  }
});

test('the changes told along the way, applied one after the other, make the same table', () => {
  for (let seed = 40_001; seed <= 40_500; seed++) {
    const { deliveries, endMs } = simulateHistory(seed);
    const random = randomOf(seed);
    const view = new InventoryView();
    const follower = new Map<string, string>();
    const follow = (changes: ReturnType<InventoryView['expire']>): void => {
      for (const change of changes) {
        if (change.kind !== 'game-server') continue;
        assert.equal(change.before, follower.get(change.row.game_server_id) ?? null);
        follower.set(change.row.game_server_id, change.row.status);
      }
    };
    let nowMs = endMs - 300_000;
    for (const { event, heardMs } of shuffle(deliveries, random)) {
      const outcome = view.apply(event, heardMs);
      if (outcome.kind === 'folded') follow(outcome.changes);
      nowMs += random() * (endMs - nowMs) * 0.1;
      if (random() < 0.3) follow(view.expire(nowMs));
    }
    assert.deepEqual(
      byKey(follower),
      byKey(view.rows().map(({ game_server_id, status }) => [game_server_id, status] as const)),
      `seed ${seed}`,
    );
  }
});
