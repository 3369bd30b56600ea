/** Why a datagram was dropped. */
export const dropReasons = [
  'source-rate',
  'total-rate',
  'session-rate',
  'sessions-full',
  'source-sessions-full',
  'draining',
  'no-upstream',
  'no-socket',
  'amplification',
  'upstream-refused',
  'upstream-full',
  'upstream-error',
  'downstream-full',
  'downstream-error',
  'handover',
] as const;
export type DropReason = (typeof dropReasons)[number];

const totals = [
  'datagramsIn',
  'bytesIn',
  'datagramsUpstream',
  'bytesUpstream',
  'repliesIn',
  'datagramsOut',
  'bytesOut',
  'spareReplies',
  'sessionsOpened',
  'sessionsExpired',
  'sessionsEvicted',
  'sessionsIsolated',
  'sessions',
  'unconfirmedSessions',
] as const;
export type Total = (typeof totals)[number];

/** Upper bounds of the latency histogram, microseconds; one more bucket counts everything above. */
export const latencyBoundsUs: readonly number[] = [25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000];

/** Maximum number of replicas in a session group at a time. */
export const maxReplicas = 16;

const dropsAt = totals.length;
const latencyAt = dropsAt + dropReasons.length;
const latencySumAt = latencyAt + latencyBoundsUs.length + 1;
const sendsAt = latencySumAt + 1;
const repliesAt = sendsAt + maxReplicas;
const length = repliesAt + maxReplicas;

const totalIndex = Object.fromEntries(totals.map((name, index) => [name, index])) as Readonly<Record<Total, number>>;
const dropIndex = Object.fromEntries(dropReasons.map((name, index) => [name, dropsAt + index])) as Readonly<
  Record<DropReason, number>
>;

/**
 * The counters of one worker, in shared memory: the main thread reads them at any time without a message, and counting
 * costs one addition. Only the worker writes. Readers see whole values, because aligned 64-bit accesses are atomic.
 */
export class Counters {
  readonly memory: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(length * 8)) {
    this.memory = memory;
    this.#values = new Float64Array(memory);
  }

  add(name: Total, amount = 1): void {
    this.#at(totalIndex[name], amount);
  }

  set(name: Total, value: number): void {
    this.#values[totalIndex[name]] = value;
  }

  drop(reason: DropReason, amount = 1): void {
    this.#at(dropIndex[reason], amount);
  }

  sent(slot: number, amount = 1): void {
    this.#at(sendsAt + slot, amount);
  }

  replied(slot: number, amount = 1): void {
    this.#at(repliesAt + slot, amount);
  }

  observeLatencyUs(microseconds: number): void {
    let bucket = 0;
    while (bucket < latencyBoundsUs.length && microseconds > (latencyBoundsUs[bucket] ?? 0)) bucket++;
    this.#at(latencyAt + bucket, 1);
    this.#at(latencySumAt, microseconds);
  }

  total(name: Total): number {
    return this.#values[totalIndex[name]] ?? 0;
  }

  dropped(reason: DropReason): number {
    return this.#values[dropIndex[reason]] ?? 0;
  }

  /** Datagrams sent to a slot's replica and its replies, over all sessions. */
  traffic(slot: number): { readonly sends: number; readonly replies: number } {
    return { sends: this.#values[sendsAt + slot] ?? 0, replies: this.#values[repliesAt + slot] ?? 0 };
  }

  /** Counts by bucket of {@link latencyBoundsUs}, one more bucket above, and the sum in microseconds. */
  latency(): { readonly counts: readonly number[]; readonly sumUs: number } {
    return {
      counts: [...this.#values.subarray(latencyAt, latencySumAt)],
      sumUs: this.#values[latencySumAt] ?? 0,
    };
  }

  #at(index: number, amount: number): void {
    this.#values[index] = (this.#values[index] ?? 0) + amount;
  }
}
