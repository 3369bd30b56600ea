import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Counters } from '../../../fanout/relay/counters.ts';
import { Relay, type RelayLimits } from '../../../fanout/relay/relay.ts';
import type { ReplicaSlot, Transport, UpstreamSocket } from '../../../fanout/relay/session.ts';

/** The number of the player's datagram that a packet is, or answers, and which replica answers. */
interface Packet {
  readonly number: number;
  readonly by: number;
  readonly bytes: number;
}
type TestSocket = UpstreamSocket<Packet, string, TestSocket>;

/** Sockets that only write down what is sent. A deaf socket counts what it is not given. */
class RecordingTransport implements Transport<Packet, string, TestSocket> {
  readonly upstream: { readonly socket: TestSocket; readonly packet: Packet }[] = [];
  readonly answers: { readonly peer: string; readonly packet: Packet }[] = [];
  readonly dropped = new Map<TestSocket, number>();
  readonly opened: TestSocket[] = [];
  readonly closed: TestSocket[] = [];
  readonly samplesMuted = true;
  readonly isolated: string[] = [];
  hasSockets = true;
  open(socket: TestSocket): TestSocket | undefined {
    if (!this.hasSockets) return undefined;
    this.opened.push(socket);
    return socket;
  }
  close(socket: TestSocket): void {
    this.closed.push(socket);
  }
  removePeer(): void {}
  isolate(peer: string): boolean {
    this.isolated.push(peer);
    return true;
  }
  sendUpstream(socket: TestSocket, packet: Packet): void {
    this.upstream.push({ socket, packet });
  }
  sendDownstream(peer: string, packet: Packet): void {
    this.answers.push({ peer, packet });
  }
  copy(packet: Packet): Packet {
    return packet;
  }
  size({ bytes }: Packet): number {
    return bytes;
  }
  mute(socket: TestSocket): number {
    const count = this.dropped.get(socket) ?? 0;
    this.dropped.set(socket, 0);
    return count;
  }
}

const limits: RelayLimits = {
  maxSessions: 100,
  maxSessionsPerSource: 100,
  creation: { perSecond: 0, burst: 0 },
  idleMs: 60_000,
  unconfirmedIdleMs: 3000,
  confirmedAfterDatagrams: 4,
  confirmedAfterMs: 1000,
  unconfirmedShare: 1,
  sourceRate: { perSecond: 0, burst: 0 },
  totalRate: { perSecond: 0, burst: 0 },
  amplification: 0,
  handoverMs: 100,
  muteAbove: 0,
};

const slots: readonly ReplicaSlot[] = [0, 1, 2].map((index) => ({
  index,
  generation: index + 1,
  recoveries: 0,
  address: '127.0.0.1',
  port: 7000 + index,
}));

function start(change: Partial<RelayLimits> = {}) {
  const transport = new RecordingTransport();
  const counters = new Counters();
  const refused: ReplicaSlot[] = [];
  const parts = {
    limits: { ...limits, ...change },
    transport,
    counters,
    onRefused: (slot: ReplicaSlot) => refused.push(slot),
  };
  const relay = new Relay<Packet, string, TestSocket>(parts, 0);
  relay.apply({ slots, primary: 0, isPlanned: false });
  const join = (name = 'player', nowMs = 0) => {
    const session = relay.open(name, name, '192.0.2.1', nowMs);
    assert.ok(session);
    return session;
  };
  return { relay, transport, counters, refused, join };
}

const packet = (number: number, by = -1, bytes = 100): Packet => ({ number, by, bytes });

test('every datagram of a player goes to every replica, and only the primary answers', () => {
  const { relay, transport, join } = start();
  const session = join();
  relay.fromPlayer(session, packet(1), 0);
  assert.deepEqual(
    transport.upstream.map(({ socket }) => socket.slot.index),
    [0, 1, 2],
  );
  for (const socket of transport.opened) relay.fromReplica(socket, packet(1, socket.slot.index), 1);
  assert.deepEqual(
    transport.answers.map((answer) => answer.packet.by),
    [0],
  );
});

test('a new primary answers, on the same sockets', () => {
  const { relay, transport, join } = start();
  const session = join();
  relay.fromPlayer(session, packet(1), 0);
  relay.apply({ slots, primary: 2, isPlanned: false });
  for (const socket of transport.opened) relay.fromReplica(socket, packet(1, socket.slot.index), 1);
  assert.deepEqual(
    transport.answers.map((answer) => answer.packet.by),
    [2],
  );
  assert.equal(transport.opened.length, 3);
});

test('a replica that joins gets a socket with the next datagram, one that leaves loses only its own', () => {
  const { relay, transport, join } = start();
  const session = join();
  relay.apply({ slots: slots.slice(0, 2), primary: 0, isPlanned: false });
  relay.fromPlayer(session, packet(1), 0);
  relay.apply({ slots: slots.slice(1), primary: 1, isPlanned: false });
  relay.fromPlayer(session, packet(2), 1);
  assert.deepEqual(
    transport.opened.map((socket) => socket.slot.index),
    [0, 1, 2],
  );
  assert.deepEqual(
    transport.closed.map((socket) => socket.slot.index),
    [0],
  );
});

test('a replica that reuses a slot gets sockets of its own', () => {
  const { relay, transport, join } = start();
  const session = join();
  relay.fromPlayer(session, packet(1), 0);
  const next = slots.map((slot) => (slot.index === 1 ? { ...slot, generation: 9 } : slot));
  relay.apply({ slots: next, primary: 0, isPlanned: false });
  relay.fromPlayer(session, packet(2), 1);
  assert.deepEqual(
    transport.closed.map((socket) => socket.slot.generation),
    [2],
  );
  assert.equal(transport.opened.at(-1)?.slot.generation, 9);
});

test('without a primary no reply is forwarded, and without replicas the datagram is counted as dropped', () => {
  const { relay, transport, counters, join } = start();
  const session = join();
  relay.apply({ slots, primary: undefined, isPlanned: false });
  relay.fromPlayer(session, packet(1), 0);
  for (const socket of transport.opened) relay.fromReplica(socket, packet(1, socket.slot.index), 1);
  assert.equal(transport.answers.length, 0);
  relay.apply({ slots: [], primary: undefined, isPlanned: false });
  relay.fromPlayer(session, packet(2), 2);
  assert.equal(counters.dropped('no-upstream'), 1);
});

test('opening a socket is retried, but not with each datagram', () => {
  const { relay, transport, counters, join } = start();
  const session = join();
  transport.hasSockets = false;
  relay.fromPlayer(session, packet(1), 0);
  assert.equal(counters.dropped('no-socket'), 3);
  transport.hasSockets = true;
  relay.fromPlayer(session, packet(2), 199);
  assert.equal(counters.dropped('no-socket'), 6);
  assert.equal(transport.upstream.length, 0);
  relay.fromPlayer(session, packet(3), 200);
  assert.equal(transport.upstream.length, 3);
});

test('a new address gets at most three times the bytes it sent, a confirmed player everything', () => {
  const { relay, transport, counters, join } = start({ amplification: 3 });
  const session = join();
  relay.fromPlayer(session, packet(1), 0);
  const [primary] = transport.opened;
  assert.ok(primary);
  for (let answer = 0; answer < 10; answer++) relay.fromReplica(primary, packet(1, 0), 1);
  assert.equal(transport.answers.length, 3);
  assert.equal(counters.dropped('amplification'), 7);
  for (let datagram = 0; datagram < 4; datagram++) relay.fromPlayer(session, packet(datagram), 1000 + datagram);
  for (let answer = 0; answer < 50; answer++) relay.fromReplica(primary, packet(1, 0), 2000);
  assert.equal(transport.answers.length, 53);
});

test('empty datagrams cannot be amplified either', () => {
  const { relay, transport, join } = start({ amplification: 3 });
  const session = join();
  relay.fromPlayer(session, packet(1, -1, 0), 0);
  const [primary] = transport.opened;
  assert.ok(primary);
  for (let answer = 0; answer < 10; answer++) relay.fromReplica(primary, packet(1, 0, 0), 1);
  assert.equal(transport.answers.length, 3);
});

test('a draining relay serves existing sessions and refuses new ones', () => {
  const { relay, transport, counters, join } = start();
  const session = join();
  relay.drain();
  assert.equal(relay.open('late', 'late', '192.0.2.2', 1), undefined);
  assert.equal(relay.refusesNewSessions(1), true);
  assert.equal(counters.dropped('draining'), 2);
  relay.fromPlayer(session, packet(1), 1);
  assert.equal(transport.upstream.length, 3);
});

test('the session counter is exact at every moment, because a drain ends at zero', () => {
  const { relay, counters, join } = start();
  assert.equal(counters.total('sessions'), 0);
  join();
  assert.equal(counters.total('sessions'), 1);
  relay.close();
  assert.equal(counters.total('sessions'), 0);
});

test('expired sessions close their sockets', () => {
  const { relay, transport, join } = start();
  relay.fromPlayer(join(), packet(1), 0);
  relay.tick(5000);
  assert.equal(relay.sessions, 0);
  assert.equal(transport.closed.length, 3);
});

test('idle sessions follow a change in slices, without their player', () => {
  const { relay, transport, join } = start();
  for (let player = 0; player < 10; player++) relay.fromPlayer(join(`p${player}`), packet(1), 0);
  relay.apply({ slots: slots.slice(0, 2), primary: 1, isPlanned: false });
  assert.equal(relay.updateSessions(4, 1), true);
  assert.equal(transport.closed.length, 4);
  assert.equal(relay.updateSessions(100, 1), false);
  assert.equal(transport.closed.length, 10);
});

/** One reply, `at` some time, to the datagram `number`. */
interface Due {
  readonly atMs: number;
  readonly run: () => void;
}

/** A datagram that a replica sends of its own accord. */
const unasked = -1;

/**
 * A player who sends every `everyMs`, three replicas that answer each datagram in order after their own delays, and
 * changes of the primary at given times. Returns the answers in the order in which the player gets them. The first
 * primary says something unasked at `saysAtMs`.
 */
function simulate(
  everyMs: number,
  delays: readonly number[],
  jitter: readonly number[],
  changes: readonly { readonly atMs: number; readonly to: number; readonly isPlanned: boolean }[],
  saysAtMs?: number,
) {
  const { relay, transport, join } = start();
  const session = join();
  const due: Due[] = [];
  const total = 120;
  for (let number = 0; number < total; number++) {
    const sentMs = 10 + number * everyMs;
    due.push({ atMs: sentMs, run: () => relay.fromPlayer(session, packet(number), sentMs) });
  }
  for (const slot of [0, 1, 2]) {
    let freeMs = 0;
    for (let number = 0; number < total; number++) {
      const wantedMs = 10 + number * everyMs + (delays[slot] ?? 1) + (jitter[(number * 3 + slot) % jitter.length] ?? 0);
      const atMs = Math.max(freeMs, wantedMs) + 0.001 * slot;
      freeMs = atMs;
      due.push({
        atMs,
        run: () => relay.fromReplica(transport.opened[slot] as TestSocket, packet(number, slot), atMs),
      });
    }
  }
  if (saysAtMs !== undefined)
    due.push({
      atMs: saysAtMs,
      run: () => relay.fromReplica(transport.opened[0] as TestSocket, packet(unasked, 0), saysAtMs),
    });
  for (const { atMs, to, isPlanned } of changes)
    due.push({
      atMs,
      run: () => {
        relay.apply({ slots, primary: to, isPlanned });
        relay.updateSessions(1000, atMs);
      },
    });
  due.sort((one, other) => one.atMs - other.atMs);
  for (const { run } of due) run();
  relay.tick((due.at(-1)?.atMs ?? 0) + 1000);
  return transport.answers.map((answer) => answer.packet);
}

const anyChange = fc.record({
  atMs: fc.double({ min: 400, max: 1700, noNaN: true }),
  to: fc.integer({ min: 0, max: 2 }),
});
const anyDelays = fc.array(fc.double({ min: 0.1, max: 30, noNaN: true }), { minLength: 3, maxLength: 3 });
const anyJitter = fc.array(fc.double({ min: 0, max: 8, noNaN: true }), { minLength: 1, maxLength: 17 });

test('planned changes lose no answer, repeat none and keep their order, whatever the delays', () => {
  fc.assert(
    fc.property(anyDelays, anyJitter, fc.array(anyChange, { maxLength: 3 }), (delays, jitter, changes) => {
      // Apart by more than a handover: the next one begins when the last has ended.
      const apart = changes
        .sort((one, other) => one.atMs - other.atMs)
        .filter(({ atMs }, index, all) => index === 0 || atMs - (all[index - 1]?.atMs ?? 0) > 200)
        .map((change) => ({ ...change, isPlanned: true }));
      const answers = simulate(16.7, delays, jitter, apart);
      assert.deepEqual(
        answers.map(({ number }) => number),
        Array.from({ length: 120 }, (_, number) => number),
      );
    }),
    { numRuns: 60 },
  );
});

test('a primary that announces its end to its players and is then replaced costs no reply', () => {
  const anyShortDelays = fc.array(fc.double({ min: 0.1, max: 8, noNaN: true }), { minLength: 3, maxLength: 3 });
  const anyLead = fc.double({ min: 20, max: 300, noNaN: true });
  fc.assert(
    fc.property(anyShortDelays, anyJitter, anyChange, anyLead, (delays, jitter, change, leadMs) => {
      const answers = simulate(16.7, delays, jitter, [{ ...change, isPlanned: true }], change.atMs - leadMs);
      assert.equal(answers.filter(({ number }) => number === unasked).length, 1);
      assert.deepEqual(
        answers.map(({ number }) => number).filter((number) => number !== unasked),
        Array.from({ length: 120 }, (_, number) => number),
      );
    }),
    { numRuns: 60 },
  );
});

test('unplanned changes repeat nothing and keep the order', () => {
  fc.assert(
    fc.property(anyDelays, anyJitter, anyChange, (delays, jitter, change) => {
      const answers = simulate(16.7, delays, jitter, [{ ...change, isPlanned: false }]).map(({ number }) => number);
      for (let at = 1; at < answers.length; at++) assert.ok((answers[at] ?? 0) > (answers[at - 1] ?? 0), `${answers}`);
      assert.ok(answers.length > 110, `${answers.length} answers`);
    }),
    { numRuns: 60 },
  );
});

test('a game that sends when it likes is switched at once', () => {
  const { relay, transport, join } = start();
  const session = join();
  relay.fromPlayer(session, packet(0), 0);
  const [one, two] = transport.opened;
  assert.ok(one && two);
  for (let tick = 0; tick < 50; tick++) {
    if (tick === 25) relay.apply({ slots, primary: 1, isPlanned: true });
    relay.fromReplica(one, packet(tick, 0), tick * 50);
    relay.fromReplica(two, packet(tick, 1), tick * 50 + 1);
  }
  assert.deepEqual(
    transport.answers.map(({ packet: { number } }) => number),
    Array.from({ length: 50 }, (_, tick) => tick),
  );
});

test('spares are muted under load, and their position is still known when one of them takes over', () => {
  const { relay, transport, counters, join } = start({ muteAbove: 100 });
  const session = join();
  let primary = 0;
  const turn = (number: number, nowMs: number) => {
    relay.fromPlayer(session, packet(number), nowMs);
    for (const socket of transport.opened.slice(0, 3)) {
      // The third replica is one answer behind all the time.
      const answered = socket.slot.index === 2 ? number - 1 : number;
      if (answered < 0) continue;
      if (socket.isMuted) transport.dropped.set(socket, (transport.dropped.get(socket) ?? 0) + 1);
      else relay.fromReplica(socket, packet(answered, socket.slot.index), nowMs + 1);
    }
  };
  for (let number = 0; number < 300; number++) {
    if (number % 10 === 0) relay.tick(number * 10);
    if (number === 250) {
      primary = 2;
      relay.apply({ slots, primary, isPlanned: true });
    }
    turn(number, number * 10);
  }
  assert.ok(counters.total('spareReplies') < 400, `${counters.total('spareReplies')} replies of spares were read`);
  assert.deepEqual(
    transport.answers.map((answer) => answer.packet.number),
    Array.from({ length: 299 }, (_, number) => number),
  );
});

test('datagrams that a muted spare missed during an outage cost no reply when it takes over later', () => {
  const { relay, transport, join } = start({ muteAbove: 100 });
  const session = join();
  const isAway = (number: number) => number >= 200 && number < 223;
  for (let number = 0; number < 300; number++) {
    if (number % 10 === 0) relay.tick(number * 10);
    // The control plane has seen it come back, a little late.
    const returned = slots.map((slot) => (slot.index === 2 ? { ...slot, recoveries: 1 } : slot));
    if (number === 226) relay.apply({ slots: returned, primary: 0, isPlanned: false });
    if (number === 250) relay.apply({ slots: returned, primary: 2, isPlanned: true });
    relay.fromPlayer(session, packet(number), number * 10);
    for (const socket of transport.opened.slice(0, 3)) {
      if (socket.slot.index === 2 && isAway(number)) continue;
      if (socket.isMuted) transport.dropped.set(socket, (transport.dropped.get(socket) ?? 0) + 1);
      else relay.fromReplica(socket, packet(number, socket.slot.index), number * 10 + 1);
    }
  }
  assert.deepEqual(
    transport.answers.map((answer) => answer.packet.number),
    Array.from({ length: 300 }, (_, number) => number),
  );
});

test('datagrams in flight while a replica recovers do not spoil its count of outstanding replies', () => {
  const { relay, transport, join } = start({ muteAbove: 100 });
  const session = join();
  const returned = slots.map((slot) => (slot.index === 2 ? { ...slot, recoveries: 1 } : slot));
  for (let number = 0; number < 300; number++) {
    if (number % 10 === 0) relay.tick(number * 10);
    relay.fromPlayer(session, packet(number), number * 10);
    // Between what was sent and what is answered: seen to be back, and later made primary.
    if (number === 226) {
      relay.apply({ slots: returned, primary: 0, isPlanned: false });
      relay.updateSessions(10, number * 10);
    }
    for (const socket of transport.opened.slice(0, 3).toReversed()) {
      if (number === 270 && socket.slot.index === 1) relay.apply({ slots: returned, primary: 2, isPlanned: true });
      if (socket.slot.index === 2 && number >= 200 && number < 226) continue;
      if (socket.isMuted) transport.dropped.set(socket, (transport.dropped.get(socket) ?? 0) + 1);
      else relay.fromReplica(socket, packet(number, socket.slot.index), number * 10 + 1);
    }
  }
  assert.deepEqual(
    transport.answers.map((answer) => answer.packet.number),
    Array.from({ length: 300 }, (_, number) => number),
  );
});

test('a muted spare without a count is unmuted before a planned change, so that nothing is lost or repeated', () => {
  const { relay, transport, join } = start({ muteAbove: 100 });
  Object.assign(transport, { samplesMuted: false, mute: () => undefined });
  // Listening samplers, so that the player who is looked at is none of them.
  const samplers = ['p1', 'p2', 'p3', 'p4'].map((name) => join(name));
  const session = join();
  for (let number = 0; number < 400; number++) {
    if (number % 10 === 0) relay.tick(number * 10);
    for (const one of [...samplers, session]) relay.fromPlayer(one, packet(number), number * 10);
    // The third replica is the quickest: at the change it has answered, unheard, what the others still owe.
    for (const socket of transport.opened.toReversed()) {
      if (number === 300 && socket.slot.index === 1) relay.apply({ slots, primary: 2, isPlanned: true });
      if (!socket.isMuted) relay.fromReplica(socket, packet(number, socket.slot.index), number * 10 + 1);
    }
  }
  const answers = transport.answers.filter(({ peer }) => peer === 'player').map(({ packet: one }) => one);
  assert.deepEqual(
    answers.map(({ number }) => number),
    Array.from({ length: 400 }, (_, number) => number),
  );
  assert.equal(answers.findIndex(({ by }) => by === 2) > 300, true, 'the old one answers until the new one is known');
  assert.equal(answers.at(-1)?.by, 2);
});

test('a refusal is counted and reported with its slot', () => {
  const { relay, transport, counters, refused, join } = start();
  relay.fromPlayer(join(), packet(1), 0);
  const [socket] = transport.opened;
  assert.ok(socket);
  relay.refused(socket);
  assert.equal(counters.dropped('upstream-refused'), 1);
  assert.deepEqual(refused, [slots[0]]);
});

test('in a flood confirmed players are isolated, unconfirmed ones are not', () => {
  const { relay, transport, join } = start({ creation: { perSecond: 10, burst: 10 } });
  const [known, late] = [join('known'), join('late', 1900)];
  for (let datagram = 0; datagram < 5; datagram++) relay.fromPlayer(known, packet(datagram), datagram * 400);
  relay.tick(1950);
  for (let stranger = 0; stranger < 1000; stranger++)
    if (!relay.refusesNewSessions(1960)) relay.open(`s${stranger}`, `s${stranger}`, `192.0.3.${stranger % 250}`, 1960);
  relay.fromPlayer(known, packet(6), 1970);
  assert.deepEqual(transport.isolated, [], 'not before it was noticed');
  relay.tick(2010);
  for (const session of [known, late, known]) relay.fromPlayer(session, packet(7), 2020);
  assert.deepEqual(transport.isolated, ['known']);
});
