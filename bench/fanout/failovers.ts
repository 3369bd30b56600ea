import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { allowedCpus, freePort, type Running, start } from './processes.ts';
import type { Programs } from './programs.ts';
import { ours } from './proxies.ts';

export interface FailoverOptions {
  readonly players: number;
  readonly failovers: number;
  readonly transport: string;
}

const everyMs = 1000 / 60;
const minSilenceMs = 50;
const replicaNames = ['a', 'b', 'c'];
const betweenMs = 700;

interface Replica {
  readonly name: string;
  running: Running;
  port: number;
  status: 'ready' | 'terminating';
}

/** A player who numbers its datagrams and records which replica answered which. */
class Player {
  readonly socket: Socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  /** The replica that answered, by number. */
  readonly answers: (string | undefined)[] = [];
  repeated = 0;
  outOfOrder = 0;
  sent = 0;
  #highest = -1;

  constructor() {
    this.socket.on('error', () => {});
    this.socket.on('message', (message) => this.#take(message.toString('latin1')));
  }

  send(): void {
    this.socket.send(String(this.sent++));
  }

  #take(text: string): void {
    const [name = '', number = ''] = text.split(' ');
    const at = Number(number);
    if (this.answers[at] !== undefined) this.repeated++;
    if (at < this.#highest) this.outOfOrder++;
    this.#highest = Math.max(this.#highest, at);
    this.answers[at] = name;
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
async function startReplica(programs: Programs, name: string, port: number): Promise<Replica> {
  const running = start(programs.pin, allowedCpus(), [programs.sink, String(port), name]);
  return { name, running, port: Number(await running.nextLine()), status: 'ready' };
}

/** Serves the replicas as the inventory reader does. */
async function startInventory(replicas: readonly Replica[]) {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    const rows = replicas.map(({ name, port, status }) => ({
      game_server_id: name,
      public_ip: '127.0.0.1',
      public_port: port,
      status,
    }));
    response.end(JSON.stringify({ game_servers: rows }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/game-servers`, stop: () => server.close() };
}

interface Losses {
  lostPlanned: number;
  lostUnplanned: number;
  worstGapMs: number;
}

/**
 * Players at 60 datagrams a second on three replicas. Every second failover is planned (the inventory reports the
 * primary as terminating). The others are a kill -9 or, one time in four, a replica that hangs (SIGSTOP).
 */
export async function runFailovers(
  programs: Programs,
  { players: count, failovers, transport }: FailoverOptions,
): Promise<object> {
  const replicas = await Promise.all(replicaNames.map((name) => startReplica(programs, name, 0)));
  const inventory = await startInventory(replicas);
  const [port, operations] = [await freePort(), await freePort('tcp')];
  const flags = [
    '--transport',
    transport,
    '--min-silence',
    `${minSilenceMs}ms`,
    '--inventory-url',
    inventory.url,
    '--inventory-interval',
    '50ms',
  ];
  const command = await ours('ours', programs, flags).command(port, []);
  const at = command.indexOf('--operations');
  const proxy = start(programs.pin, allowedCpus(), command.toSpliced(at + 1, 1, `127.0.0.1:${operations}`));
  const players = Array.from({ length: count }, () => new Player());
  const losses: Losses = { lostPlanned: 0, lostUnplanned: 0, worstGapMs: 0 };
  const detections: number[] = [];
  try {
    const primary = async () => {
      const response = await fetch(`http://127.0.0.1:${operations}/status`).catch(() => undefined);
      return response === undefined ? undefined : ((await response.json()) as { primary: string | null }).primary;
    };
    const becomes = async (isRight: (name: string | null | undefined) => boolean) => {
      const endMs = performance.now() + 5000;
      for (;;) {
        const name = await primary();
        if (isRight(name)) return name ?? '';
        if (performance.now() > endMs) throw new Error(`primary is ${name}`);
        await sleep(2);
      }
    };
    await becomes((name) => typeof name === 'string');
    for (const player of players) player.socket.connect(port, '127.0.0.1');
    await Promise.all(players.map(({ socket }) => once(socket, 'connect')));
    // Spread over the interval, as real players are.
    const timers = players.map((player, index) => {
      const state = { timer: undefined as NodeJS.Timeout | undefined };
      setTimeout(() => (state.timer = setInterval(() => player.send(), everyMs)), (index * everyMs) / count);
      return state;
    });
    await sleep(1500);
    for (let failover = 0; failover < failovers; failover++) {
      const old = await becomes((name) => typeof name === 'string');
      const replica = replicas.find(({ name }) => name === old);
      if (replica === undefined) throw new Error(`no replica ${old}`);
      const before = players.map(({ sent }) => sent);
      const isPlanned = failover % 2 === 0;
      const isHang = failover % 8 === 7;
      const beganMs = performance.now();
      if (isPlanned) replica.status = 'terminating';
      else replica.running.child.kill(isHang ? 'SIGSTOP' : 'SIGKILL');
      await becomes((name) => typeof name === 'string' && name !== old);
      if (!isPlanned) detections.push(performance.now() - beganMs);
      await sleep(betweenMs / 2);
      if (isPlanned) replica.status = 'ready';
      else if (isHang) replica.running.child.kill('SIGCONT');
      else replica.running = (await startReplica(programs, replica.name, replica.port)).running;
      await sleep(betweenMs);
      countLost(players, before, isPlanned, losses);
    }
    for (const { timer } of timers) clearInterval(timer);
    await sleep(300);
  } finally {
    for (const { socket } of players) socket.close();
    await proxy.stop('SIGKILL');
    await Promise.all(replicas.map(({ running }) => running.stop('SIGKILL')));
    inventory.stop();
  }
  const repeated = players.reduce((total, player) => total + player.repeated, 0);
  const outOfOrder = players.reduce((total, player) => total + player.outOfOrder, 0);
  const sent = players.reduce((total, player) => total + player.sent, 0);
  const sorted = detections.sort((one, other) => one - other);
  const result = {
    players: count,
    failovers,
    transport,
    sent,
    lost_planned: losses.lostPlanned,
    lost_unplanned: losses.lostUnplanned,
    repeated,
    out_of_order: outOfOrder,
    detection_ms_p50: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0),
    detection_ms_max: Math.round(sorted.at(-1) ?? 0),
    worst_gap_ms: Math.round(losses.worstGapMs),
  };
  console.log(`${count} players at 60/s on 3 replicas, ${failovers} failovers over ${transport}`);
  for (const [name, value] of Object.entries(result)) console.log(`  ${name.padEnd(20)} ${value}`);
  return result;
}

/** Counts datagrams sent since `before` that should have been answered by now but were not. */
function countLost(players: readonly Player[], before: readonly number[], isPlanned: boolean, losses: Losses): void {
  players.forEach((player, index) => {
    const settled = player.sent - Math.ceil(200 / everyMs);
    let gap = 0;
    for (let number = before[index] ?? 0; number < settled; number++) {
      const isLost = player.answers[number] === undefined;
      gap = isLost ? gap + 1 : 0;
      losses.worstGapMs = Math.max(losses.worstGapMs, gap * everyMs);
      if (isLost && isPlanned) losses.lostPlanned++;
      if (isLost && !isPlanned) losses.lostUnplanned++;
    }
  });
}
