import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

export interface PlayerReport {
  sent: number;
  answered: number;
  /** Sent at least `lostAfterMs` ago and still unanswered. */
  lost: number;
  /** Replies to datagrams that were already answered: two replicas replied. */
  repeated: number;
  /** Longest wait of a player for a reply, while it was sending. */
  maxGapMs: number;
  /** Whether the game announced that it closes. */
  toldClosing: boolean;
}

const lostAfterMs = 1_000;
/** Maximum number of unanswered datagrams remembered; older ones count as lost. */
const maxPending = 4_096;

/** A player with its own UDP socket: sends numbered datagrams at a fixed rate and checks the replies. */
export class Player {
  readonly #socket: Socket = createSocket('udp4');
  readonly #report: PlayerReport = { sent: 0, answered: 0, lost: 0, repeated: 0, maxGapMs: 0, toldClosing: false };
  readonly #pending: Map<number, number> = new Map();
  #host: string;
  #port: number;
  #heardAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
    this.#socket.on('message', (message) => this.#hear(message.toString('latin1')));
    // An unreachable address costs the datagram, as on a real network.
    this.#socket.on('error', () => undefined);
  }

  /** Sends `perSecond` datagrams a second from now on. */
  async play(perSecond: number): Promise<void> {
    this.#socket.bind(0);
    await once(this.#socket, 'listening');
    this.#heardAtMs = performance.now();
    this.#send();
    this.#timer = setInterval(() => this.#send(), 1000 / perSecond);
  }

  /** Sends to another server from the next datagram on, as if a matchmaker had moved the player. */
  moveTo(host: string, port: number): void {
    this.#host = host;
    this.#port = port;
  }

  report(): PlayerReport {
    const nowMs = performance.now();
    let { lost } = this.#report;
    for (const sentAtMs of this.#pending.values()) if (nowMs - sentAtMs >= lostAfterMs) lost++;
    return { ...this.#report, lost, maxGapMs: Math.round(this.#maxGapMs(nowMs)) };
  }

  leave(): PlayerReport {
    clearInterval(this.#timer);
    const report = this.report();
    this.#socket.close();
    return report;
  }

  #send(): void {
    this.#report.sent += 1;
    const number = this.#report.sent;
    const [oldest] = this.#pending.keys();
    if (oldest !== undefined && this.#pending.size >= maxPending) {
      this.#pending.delete(oldest);
      this.#report.lost += 1;
    }
    this.#pending.set(number, performance.now());
    this.#socket.send(`move ${number}`, this.#port, this.#host);
  }

  #maxGapMs(nowMs: number): number {
    const [waitingSinceMs] = this.#pending.values();
    const gapMs = waitingSinceMs === undefined ? 0 : nowMs - Math.max(waitingSinceMs, this.#heardAtMs);
    return Math.max(this.#report.maxGapMs, gapMs);
  }

  #hear(text: string): void {
    const nowMs = performance.now();
    if (text.startsWith('closing ')) this.#report.toldClosing = true;
    const number = Number(/ move (\d+)$/.exec(text)?.[1]);
    if (!Number.isInteger(number)) return;
    this.#report.maxGapMs = this.#maxGapMs(nowMs);
    this.#heardAtMs = nowMs;
    if (this.#pending.delete(number)) this.#report.answered += 1;
    else this.#report.repeated += 1;
  }
}

export interface PlayersReport extends PlayerReport {
  readonly players: number;
}

function joinReports(reports: readonly PlayerReport[]): PlayersReport {
  const sum = (read: (report: PlayerReport) => number): number => reports.reduce((total, one) => total + read(one), 0);
  return {
    players: reports.length,
    sent: sum(({ sent }) => sent),
    answered: sum(({ answered }) => answered),
    lost: sum(({ lost }) => lost),
    repeated: sum(({ repeated }) => repeated),
    maxGapMs: Math.max(0, ...reports.map(({ maxGapMs }) => maxGapMs)),
    toldClosing: reports.some(({ toldClosing }) => toldClosing),
  };
}

export interface PlayOptions {
  readonly host: string;
  readonly port: number;
  readonly players: number;
  /** Datagrams per second of each player. */
  readonly perSecond: number;
  /** Interval of `onReport`, which is also called at once. */
  readonly everyMs?: number | undefined;
  readonly onReport?: (report: PlayersReport) => void;
}

/** Keeps `players` players on one server until `signal` aborts. */
export async function playUntil(
  { host, port, players, perSecond, everyMs, onReport }: PlayOptions,
  signal: AbortSignal,
): Promise<PlayersReport> {
  const all = Array.from({ length: players }, () => new Player(host, port));
  await Promise.all(all.map((player) => player.play(perSecond)));
  const report = (): void => onReport?.(joinReports(all.map((player) => player.report())));
  if (everyMs !== undefined) report();
  // A day: longer than any run, and within a timer's range.
  const reporting = setInterval(report, everyMs ?? 86_400_000);
  if (!signal.aborted) await once(signal, 'abort');
  clearInterval(reporting);
  return joinReports(all.map((player) => player.leave()));
}
