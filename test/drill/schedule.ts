/** What goes wrong in one drill, all of it decided by the seed. Times in milliseconds after the notice. */
export interface Schedule {
  readonly seed: number;
  readonly noticeMs: number;
  /** How far the agent's clock is ahead from the start on. */
  readonly skewMs: number;
  readonly pods: readonly DrillPod[];
  readonly events: readonly DrillEvent[];
}

export interface DrillPod {
  readonly name: string;
  readonly isGameServer: boolean;
  readonly graceSeconds: number;
  readonly stopMs: number;
  readonly budget: 'none' | 'opens' | 'never';
}

export type DrillEvent =
  | {
      readonly kind: 'metadata-fault' | 'api-fault';
      readonly atMs: number;
      readonly forMs: number;
      readonly fault: FaultName;
    }
  | { readonly kind: 'kill-agent'; readonly atMs: number }
  | { readonly kind: 'budget-opens'; readonly atMs: number; readonly pod: string }
  | { readonly kind: 'pod-appears'; readonly atMs: number; readonly pod: DrillPod }
  /** The agent's wall clock is moved by so much, for good. */
  | { readonly kind: 'clock-jumps'; readonly atMs: number; readonly byMs: number }
  /** `dead-connections`: those there are fall silent for good, new ones work. `silence`: all are silent for a while. */
  | { readonly kind: 'dead-connections'; readonly atMs: number }
  | { readonly kind: 'silence' | 'slow-writes'; readonly atMs: number; readonly forMs: number }
  /** Nobody reads the agent's log. */
  | { readonly kind: 'frozen-log'; readonly atMs: number; readonly forMs: number };

/** `foreign-...`: the answer of a proxy that stands in between. */
export type FaultName =
  | 'status-500'
  | 'status-429'
  | 'hang'
  | 'reset'
  | 'garbage'
  | 'delay'
  | 'foreign-404'
  | 'foreign-200'
  | 'foreign-403';

const faults: readonly FaultName[] = [
  ...(['status-500', 'status-429', 'hang', 'reset', 'garbage', 'delay'] as const),
  ...(['foreign-404', 'foreign-200', 'foreign-403'] as const),
];
/** To the metadata service's own 404, which says that nothing is announced, a proxy's would be no different. */
const metadataFaults = faults.filter((fault) => fault !== 'foreign-404');
const noticeMs = 24_000;

/** The same seed makes the same schedule, on every machine. */
export function makeSchedule(seed: number): Schedule {
  const chance = randomOf(seed);
  const whole = (min: number, max: number) => min + Math.floor(chance() * (max - min + 1));
  const pick = <T>(from: readonly T[]): T => from[whole(0, from.length - 1)] as T;
  const pod = (name: string): DrillPod => ({
    name,
    isGameServer: chance() < 0.7,
    graceSeconds: whole(2, 8),
    stopMs: chance() < 0.15 ? 120_000 : whole(0, 1500),
    budget: pick(['none', 'none', 'none', 'opens', 'never']),
  });
  const pods = Array.from({ length: whole(2, 12) }, (_, index) => pod(`gs-${index}`));
  const events: DrillEvent[] = pods
    .filter(({ budget }) => budget === 'opens')
    .map(({ name }) => ({ kind: 'budget-opens', atMs: whole(500, 12_000), pod: name }));
  for (let count = whole(0, 3); count > 0; count--)
    events.push({
      kind: 'metadata-fault',
      atMs: whole(-500, 10_000),
      forMs: whole(200, 4000),
      fault: pick(metadataFaults),
    });
  for (let count = whole(0, 3); count > 0; count--)
    events.push({ kind: 'api-fault', atMs: whole(-500, 10_000), forMs: whole(200, 4000), fault: pick(faults) });
  for (let count = whole(0, 2); count > 0; count--) events.push({ kind: 'kill-agent', atMs: whole(0, 8000) });
  for (let count = whole(0, 2); count > 0; count--)
    events.push({ kind: 'pod-appears', atMs: whole(0, 10_000), pod: { ...pod(`late-${count}`), budget: 'none' } });
  if (chance() < 0.3)
    events.push({ kind: 'clock-jumps', atMs: whole(500, 6000), byMs: pick([-3_600_000, -2000, -500, 500, 2000]) });
  if (chance() < 0.3) events.push({ kind: 'dead-connections', atMs: whole(-1500, 8000) });
  if (chance() < 0.2) events.push({ kind: 'silence', atMs: whole(-500, 8000), forMs: whole(500, 5000) });
  if (chance() < 0.2) events.push({ kind: 'slow-writes', atMs: whole(-500, 8000), forMs: whole(1000, 6000) });
  if (chance() < 0.3) events.push({ kind: 'frozen-log', atMs: whole(-1500, 5000), forMs: whole(2000, 20_000) });
  const skewMs = chance() < 0.25 ? pick([-180_000, -20_000, 20_000, 180_000]) : 0;
  return { seed, noticeMs, skewMs, pods, events: events.toSorted((a, b) => a.atMs - b.atMs) };
}

/** mulberry32: small, and good enough to mix a schedule. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
