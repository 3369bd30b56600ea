import type { Clock } from './clock.ts';
import { readInstant } from './interruption/read-instant.ts';
import type { Log } from './log.ts';

/** A server whose responses carry its time. */
export type TimeReference = 'metadata' | 'kubernetes';

/** Takes the `Date` header of a response, and the time at which its request was sent, by the monotonic clock. */
export type DateListener = (date: string | null | undefined, askedMs: number) => void;

export interface CheckedClockOptions {
  readonly wall: Clock;
  readonly monotonicMs: () => number;
}

/** Bounds of a server's clock at monotonic time 0: epoch milliseconds. */
interface Bounds {
  readonly minMs: number;
  readonly maxMs: number;
}

/** A `Date` header has whole seconds and takes a round trip, so a smaller difference proves nothing. */
const toleranceMs = 2000;
const dateResolutionMs = 1000;

/**
 * The wall clock, corrected if other clocks show that it is wrong: a deadline is an instant of AWS's clock, and a
 * node's own may be minutes off. Of three clocks the middle one is used, of two the one that is not ours. References
 * are kept by the monotonic clock, so a step of the wall clock is noticed without another response.
 */
export class CheckedClock implements Clock {
  readonly #options: CheckedClockOptions;
  readonly #references = new Map<TimeReference, Bounds>();
  #isSkewed = false;

  constructor(options: CheckedClockOptions) {
    this.#options = options;
  }

  now(): number {
    const wallMs = this.#options.wall.now();
    const skewMs = this.#skewMs(wallMs) ?? 0;
    return Math.abs(skewMs) > toleranceMs ? Math.round(wallMs - skewMs) : wallMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#options.wall.sleep(ms, signal);
  }

  /** Difference between our wall clock and the trusted one, milliseconds; undefined: no other clock is known. */
  get skewMs(): number | undefined {
    return this.#skewMs(this.#options.wall.now());
  }

  /** The same instant by our wall clock, for processes of this machine that know no other clock. */
  toWall(epochMs: number): number {
    return epochMs + this.#options.wall.now() - this.now();
  }

  /** Observes one server's time, and logs when it reveals or ends a skew. Invalid headers are ignored. */
  listen(reference: TimeReference, log: Log): DateListener {
    return (date, askedMs) => {
      const saidMs = readInstant(date);
      if (saidMs === undefined) return;
      const said = { minMs: saidMs - this.#options.monotonicMs(), maxMs: saidMs + dateResolutionMs - askedMs };
      this.#references.set(reference, narrowed(this.#references.get(reference), said));
      this.#report(Math.round(this.skewMs ?? 0), log);
    };
  }

  /** Logs each change once. A skew near the tolerance would otherwise begin and end repeatedly. */
  #report(skewMs: number, log: Log): void {
    const isSkewed = Math.abs(skewMs) > (this.#isSkewed ? toleranceMs / 2 : toleranceMs);
    if (isSkewed === this.#isSkewed) return;
    this.#isSkewed = isSkewed;
    if (isSkewed) log.warn({ skewMs, references: [...this.#references.keys()] }, 'Clock skew: deadlines are corrected');
    else log.info({ skewMs }, 'Clock skew resolved');
  }

  #skewMs(wallMs: number): number | undefined {
    const monotonicMs = this.#options.monotonicMs();
    const others = [...this.#references.values()].map(({ minMs, maxMs }) => monotonicMs + (minMs + maxMs) / 2);
    const [first, second] = others;
    if (first === undefined) return undefined;
    if (second === undefined) return wallMs - first;
    return wallMs - middle(wallMs, first, second);
  }
}

/** The intersection; if the two contradict each other, the newer one alone, because that clock was set. */
function narrowed(known: Bounds | undefined, said: Bounds): Bounds {
  if (known === undefined) return said;
  const both = { minMs: Math.max(known.minMs, said.minMs), maxMs: Math.min(known.maxMs, said.maxMs) };
  return both.minMs <= both.maxMs ? both : said;
}

function middle(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
