import {
  type GameServerData,
  type GameServerState,
  gameServerEvent,
  type InventoryEvent,
  type NodeData,
  nodeEvent,
} from '../../../shared/events/event.ts';

export interface Delivery {
  readonly event: InventoryEvent;
  readonly heardMs: number;
}

/** What is true of a game server at the end, known from the simulation and not from its events. */
export interface TrueEnd {
  readonly status: GameServerState;
  readonly players: number | null;
  readonly deadline: string | null;
}

export interface History {
  readonly deliveries: readonly Delivery[];
  readonly truth: ReadonlyMap<string, TrueEnd>;
  readonly endMs: number;
}

export type Random = () => number;

/** mulberry32: the same history for the same seed. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const startMs = Date.UTC(2026, 3, 24, 12);
export const leaseMs = 30_000;
const noticeMs = 120_000;

interface Machine {
  readonly instance: string;
  readonly name: string;
  /** How wrong its clock is. */
  readonly skewMs: number;
  /** Whether each of its senders knows the instance and the name. */
  readonly knows: { readonly instance: boolean; readonly name: boolean };
}

interface World {
  readonly random: Random;
  readonly deliveries: Delivery[];
  readonly truth: Map<string, TrueEnd>;
  readonly endMs: number;
}

/**
 * One to three machines with up to three game servers each, whose lives, deaths, interruptions and messages are random.
 */
export function simulateHistory(seed: number): History {
  const random = randomOf(seed);
  const world: World = { random, deliveries: [], truth: new Map(), endMs: startMs + 60_000 + random() * 240_000 };
  const machines = 1 + Math.floor(random() * 3);
  for (let index = 0; index < machines; index++) simulateMachine(world, index);
  return { deliveries: world.deliveries, truth: world.truth, endMs: world.endMs };
}

function simulateMachine(world: World, index: number): void {
  const { random, endMs } = world;
  const machine: Machine = {
    instance: `i-${index}`,
    // Two instances of one name after each other, as with addresses that are given out again.
    name: random() < 0.2 ? 'shared-name' : `node-${index}`,
    skewMs: Math.round((random() - 0.5) * 7_200_000),
    knows: { instance: true, name: random() < 0.8 },
  };
  const interruption = simulateInterruption(world, machine);
  const servers = Math.floor(random() * 4);
  for (let server = 0; server < servers; server++) {
    const bornMs = startMs + random() * (endMs - startMs);
    simulateGameServer(world, machine, `gs-${index}-${server}`, bornMs, interruption);
  }
}

interface SimulatedInterruption {
  readonly isGoing: boolean;
  readonly deadline: string | null;
}

function simulateInterruption(world: World, machine: Machine): SimulatedInterruption {
  const { random, endMs } = world;
  const phases = random() < 0.4 ? [] : (['at-risk', 'interrupted', 'recovered', 'interrupted', 'drained'] as const);
  const from = Math.floor(random() * 2);
  const to = from + Math.floor(random() * (phases.length + 1 - from));
  let now: SimulatedInterruption = { isGoing: false, deadline: null };
  let atMs = startMs + random() * 60_000;
  let sequence = 0;
  for (const status of phases.slice(from, to)) {
    if (atMs >= endMs) break;
    const deadline =
      status === 'at-risk' || status === 'recovered' ? null : new Date(endMs + noticeMs + machine.skewMs).toISOString();
    const data: NodeData = {
      ...placement(machine),
      status,
      interruption_id: `${machine.instance}/spot`,
      kind: 'spot-termination',
      action: 'terminate',
      deadline,
      sequence: ++sequence,
    };
    deliver(world, nodeEvent(data, Math.round(atMs + machine.skewMs)), atMs);
    now = { isGoing: status === 'interrupted' || status === 'drained', deadline };
    atMs += 1 + random() * 30_000;
    // An agent that starts again counts anew.
    if (random() < 0.2) sequence = 0;
  }
  return now;
}

function simulateGameServer(
  world: World,
  machine: Machine,
  id: string,
  bornMs: number,
  interruption: SimulatedInterruption,
): void {
  const { random, endMs } = world;
  const end = (['lives', 'lives', 'terminates', 'dies', 'dies-reported'] as const)[Math.floor(random() * 5)];
  const endsAtMs = bornMs + random() * 200_000;
  let status: GameServerState = 'starting';
  let players: number | null = null;
  let sequence = 0;
  let lastHeard: { heardMs: number; players: number | null; status: GameServerState } | undefined;
  const say = (name: GameServerState | 'heartbeat', atMs: number): void => {
    const timeMs = Math.round(atMs + machine.skewMs);
    const data = gameServerData(machine, id, { status, players, sequence: ++sequence, timeMs });
    const event = gameServerEvent(name, data, timeMs);
    // Any heartbeat may be lost, but the table cannot know better than what came.
    if (name === 'heartbeat' && random() < 0.3) return;
    lastHeard = { heardMs: deliver(world, event, atMs), players, status };
  };
  let atMs = bornMs;
  say('starting', atMs);
  for (atMs += 5000; atMs < Math.min(endsAtMs, endMs) || (end === 'lives' && atMs < endMs); atMs += 5000) {
    players = Math.floor(random() * 16);
    const next: GameServerState = random() < 0.5 ? 'ready' : 'allocated';
    const name = next === status ? 'heartbeat' : next;
    status = next;
    say(name, atMs);
  }
  if (lastHeard === undefined) return;
  if (end === 'terminates' && atMs < endMs) {
    status = 'terminated';
    say('terminated', atMs);
    world.truth.set(id, { status, players, deadline: null });
    return;
  }
  const isReported = end === 'dies-reported' && atMs < endMs;
  if (isReported) {
    // The agent may have missed the last events, which the wrapper then sent by itself.
    const known = Math.max(1, sequence - Math.floor(random() * 3));
    const timeMs = Math.round(atMs + machine.skewMs);
    const data = gameServerData(machine, id, { status: 'lost', players, sequence: known + 1, timeMs });
    deliver(world, gameServerEvent('lost', data, timeMs), atMs);
  }
  const isLost = isReported || lastHeard.heardMs + leaseMs <= endMs;
  const isGoing = interruption.isGoing;
  world.truth.set(id, {
    status: isLost ? 'lost' : isGoing ? 'terminating' : lastHeard.status,
    players: isReported ? players : lastHeard.players,
    deadline: isGoing && !isReported ? interruption.deadline : null,
  });
}

function placement({
  instance,
  name,
  knows,
}: Machine): Pick<
  GameServerData,
  keyof NodeData & keyof GameServerData & ('region' | 'zone' | 'node' | 'instance_id' | 'instance_type' | 'lifecycle')
> {
  return {
    region: 'eu-west-1',
    zone: 'eu-west-1a',
    node: knows.name ? name : null,
    instance_id: knows.instance ? instance : null,
    instance_type: 'c7g.xlarge',
    lifecycle: 'spot',
  };
}

interface Said {
  readonly status: GameServerState;
  readonly players: number | null;
  readonly sequence: number;
  readonly timeMs: number;
}

function gameServerData(machine: Machine, id: string, { status, players, sequence, timeMs }: Said): GameServerData {
  const hasEnded = status === 'terminated' || status === 'lost';
  return {
    ...placement(machine),
    public_hostname: 'game.example.com',
    public_port: 27_015,
    status,
    type: 'game-server',
    game_server_id: id,
    sequence,
    lease_expires_at: hasEnded ? null : new Date(timeMs + leaseMs).toISOString(),
    public_ip: '192.0.2.1',
    ports: { SERVER_PORT: { port: 27_015, protocol: 'udp' } },
    pod: null,
    namespace: null,
    labels: {},
    players,
    deadline: null,
    reason: null,
    exit_code: status === 'terminated' ? 0 : null,
  };
}

/** The queue takes it a little later, sometimes a second time. Returns when it took it first. */
function deliver({ random, deliveries }: World, event: InventoryEvent, atMs: number): number {
  const heardMs = Math.round(atMs + random() * 1000);
  deliveries.push({ event, heardMs });
  while (random() < 0.3) deliveries.push({ event, heardMs: heardMs + Math.round(random() * 5000) });
  // A message can also come twice with the same time of sending: a redelivery.
  if (random() < 0.2) deliveries.push({ event: structuredClone(event), heardMs });
  return heardMs;
}

export function shuffle<T>(items: readonly T[], random: Random): T[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const item = shuffled[last] as T;
    shuffled[last] = shuffled[other] as T;
    shuffled[other] = item;
  }
  return shuffled;
}
