import type { Log } from './log.ts';

export interface ThrottleOptions {
  /** Lines of each message in a period. */
  readonly max: number;
  readonly periodMs: number;
  /** Milliseconds by a clock that nobody sets. */
  readonly upMs: () => number;
}

interface Period {
  readonly startMs: number;
  lines: number;
  suppressed: number;
}

/**
 * Passes on so many lines of each message in a period, and counts the others: `suppressed` in the next line that is passed on. For what
 * strangers can cause as often as they like. Messages are constant texts, so there are few.
 */
export function throttledLog(log: Log, { max, periodMs, upMs }: ThrottleOptions): Log {
  const periods = new Map<string, Period>();
  const throttled = (write: (fields: object, message: string) => void) => (fields: object, message: string) => {
    let period = periods.get(message);
    const nowMs = upMs();
    let suppressed = 0;
    if (period === undefined || nowMs - period.startMs >= periodMs) {
      suppressed = period?.suppressed ?? 0;
      period = { startMs: nowMs, lines: 0, suppressed: 0 };
      periods.set(message, period);
    }
    if (period.lines >= max) {
      period.suppressed++;
      return;
    }
    period.lines++;
    write(suppressed === 0 ? fields : { ...fields, suppressed }, message);
  };
  return {
    debug: throttled((fields, message) => log.debug(fields, message)),
    info: throttled((fields, message) => log.info(fields, message)),
    warn: throttled((fields, message) => log.warn(fields, message)),
    error: throttled((fields, message) => log.error(fields, message)),
  };
}
