import type { Log } from '../shared/log.ts';

export interface NoticesOptions {
  readonly first: string;
  /**
   * Destination of log lines. undefined while the live table is shown, which they would break: it shows the last one at
   * the bottom.
   */
  readonly sink: Log | undefined;
}

/** The reader's messages about itself. */
export class Notices {
  last: string;
  readonly log: Log;

  constructor({ first, sink }: NoticesOptions) {
    this.last = first;
    const keep = (fields: object, message: string): void => {
      const detail = 'err' in fields ? `: ${fields.err}` : 'url' in fields ? `: ${fields.url}` : '';
      this.last = message + detail;
    };
    this.log = sink ?? { debug: () => {}, info: keep, warn: keep, error: keep };
  }
}
