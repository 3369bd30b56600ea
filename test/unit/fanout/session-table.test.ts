import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Entry, type SessionLimits, SessionTable } from '../../../fanout/relay/session-table.ts';

const limits: SessionLimits = {
  maxSessions: 8,
  maxSessionsPerSource: 3,
  creation: { perSecond: 1000, burst: 1000 },
  idleMs: 60_000,
  unconfirmedIdleMs: 3000,
  confirmedAfterDatagrams: 4,
  confirmedAfterMs: 1000,
  unconfirmedShare: 0.5,
  sourceRate: { perSecond: 0, burst: 0 },
};

/** Opens as the relay does: admit, evict, add. */
function open(table: SessionTable<Entry>, key: string, source: string, nowMs: number): Entry | string {
  const refusal = table.admit(source, nowMs);
  if (refusal !== undefined) return refusal;
  const evicted = table.toEvict();
  if (evicted !== undefined) table.remove(evicted);
  const entry = {
    key,
    source: table.source(source, nowMs),
    openedAtMs: nowMs,
    lastSeenMs: nowMs,
    datagrams: 0,
    isUnconfirmed: true,
  };
  table.add(entry);
  return entry;
}

function establish(table: SessionTable<Entry>, entry: Entry, fromMs: number): void {
  for (let datagram = 0; datagram < 5; datagram++) table.touch(entry, fromMs + datagram * 300);
}

test('a source has a limited number of sessions', () => {
  const table = new SessionTable<Entry>(limits, 0);
  for (const key of ['a', 'b', 'c']) assert.notEqual(typeof open(table, key, 'one', 0), 'string');
  assert.equal(open(table, 'd', 'one', 0), 'source-sessions-full');
  assert.notEqual(typeof open(table, 'd', 'two', 0), 'string');
});

test('a flood of new addresses takes only the unconfirmed share, and evicts its own', () => {
  const empty = new SessionTable<Entry>(limits, 0);
  for (let flood = 0; flood < 1000; flood++) open(empty, `flood ${flood}`, `source ${flood}`, 2000);
  assert.equal(empty.size, 4, 'the other half stays free for players');
  const table = new SessionTable<Entry>(limits, 0);
  const players = ['p', 'q', 'r', 's'].map((key) => open(table, key, key, 0) as Entry);
  for (const player of players) establish(table, player, 0);
  for (let flood = 0; flood < 1000; flood++) open(table, `flood ${flood}`, `source ${flood}`, 2000);
  assert.equal(table.size, 8);
  assert.equal(table.unconfirmedSize, 4);
  for (const player of players) assert.equal(table.find(player.key), player);
});

test('a table full of confirmed players refuses new ones', () => {
  const table = new SessionTable<Entry>({ ...limits, unconfirmedShare: 1 }, 0);
  for (let player = 0; player < 8; player++) establish(table, open(table, `p${player}`, `s${player}`, 0) as Entry, 0);
  assert.equal(open(table, 'late', 'late', 2000), 'sessions-full');
});

test('new sessions are rate limited', () => {
  const table = new SessionTable<Entry>({ ...limits, maxSessions: 100, creation: { perSecond: 2, burst: 2 } }, 0);
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => typeof open(table, key, key, 0)),
    ['object', 'object', 'string'],
  );
  assert.equal(table.hasCreationLeft(100), false);
  assert.equal(table.hasCreationLeft(500), true);
  assert.equal(typeof open(table, 'd', 'd', 500), 'object');
});

test('an address that sends once expires soon, a confirmed player late', () => {
  const table = new SessionTable<Entry>(limits, 0);
  const once = open(table, 'once', 'one', 0) as Entry;
  const player = open(table, 'player', 'two', 0) as Entry;
  establish(table, player, 0);
  assert.deepEqual(table.expired(3001, 100), [once]);
  table.remove(once);
  assert.deepEqual(table.expired(61_200, 100), []);
  assert.deepEqual(table.expired(61_201, 100), [player]);
});

test('a large table is checked for expiry in slices', () => {
  const table = new SessionTable<Entry>(
    { ...limits, maxSessions: 100, maxSessionsPerSource: 100, unconfirmedShare: 1 },
    0,
  );
  for (let player = 0; player < 10; player++) open(table, `p${player}`, 's', 0);
  const slices = [table.expired(9000, 4), table.expired(9000, 4), table.expired(9000, 4)];
  assert.deepEqual(
    slices.map((slice) => slice.length),
    [4, 4, 2],
  );
  assert.equal(new Set(slices.flat()).size, 10);
});

test('a source that sends too fast is limited, others are not', () => {
  const table = new SessionTable<Entry>({ ...limits, sourceRate: { perSecond: 10, burst: 10 } }, 0);
  const [fast, slow] = [open(table, 'fast', 'one', 0) as Entry, open(table, 'slow', 'two', 0) as Entry];
  const taken = Array.from({ length: 20 }, () => table.touch(fast, 0)).filter(Boolean);
  assert.equal(taken.length, 10);
  assert.equal(table.touch(slow, 0), true);
});

test('whatever happens, the bounds hold and the counts are right', () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 20 }),
    act: fc.constantFrom('open', 'touch', 'touch', 'touch', 'expire', 'remove'),
    waitMs: fc.integer({ min: 0, max: 1500 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const table = new SessionTable<Entry>(limits, 0);
      let nowMs = 0;
      for (const { key, act, waitMs } of steps) {
        nowMs += waitMs;
        const entry = table.find(String(key));
        if (act === 'open' && entry === undefined) open(table, String(key), `s${key % 5}`, nowMs);
        if (act === 'touch' && entry !== undefined) table.touch(entry, nowMs);
        if (act === 'remove' && entry !== undefined) table.remove(entry);
        if (act === 'expire') for (const gone of table.expired(nowMs, 100)) table.remove(gone);
        const all = [...table.all()];
        assert.equal(all.length, table.size);
        assert.ok(table.size <= limits.maxSessions);
        assert.equal(all.filter(({ isUnconfirmed }) => isUnconfirmed).length, table.unconfirmedSize);
        assert.equal(new Set(all.map(({ source }) => source)).size, table.sources);
        for (const { source } of all) {
          assert.equal(source.sessions, all.filter((other) => other.source === source).length);
          assert.ok(source.sessions <= limits.maxSessionsPerSource);
        }
      }
    }),
  );
});
