import type { Log } from '../shared/log.ts';

export interface NoticesOptions {
  readonly first: string;
  /** Where log lines go; undefined under the live table, which they would tear: there the last one stands in its foot. */
  readonly sink: Log | undefined;
}

/** What the reader has to say of itself. */
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
