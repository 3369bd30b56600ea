import type { Log } from './log.ts';

export interface ThrottleOptions {
  /** Lines per message and period. */
  readonly max: number;
  readonly periodMs: number;
  /** Milliseconds of a monotonic clock. */
  readonly upMs: () => number;
}

interface Period {
  readonly startMs: number;
  lines: number;
  suppressed: number;
}

/**
 * Passes on a limited number of lines per message and period, and counts the others as `suppressed` in the next line.
 * For events that strangers can cause at will. Messages are constant, so there are few of them.
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
