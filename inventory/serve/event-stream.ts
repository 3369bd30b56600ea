import type { ServerResponse } from 'node:http';
import type { Change } from '../fold/inventory-view.ts';

/** Changes kept for clients that reconnect, up to 12 MB. A client that was away for longer reads the table again. */
const maxKept = 5000;
/** A client with this much unsent data is not reading: it is disconnected, and reconnects by itself. */
const maxUnsentBytes = 16 * 1024 * 1024;
export const maxStreamClients = 64;
/** Proxies close connections that are silent for a minute. */
const pingEveryMs = 15_000;

/**
 * Server-sent events of every change. Each has a position, `RUN-COUNT`. A client sends the last one that it has seen
 * and gets the rest, or `reset` if they are no longer kept or belong to an earlier run of the reader.
 */
export class EventStream {
  readonly #run: string;
  /** Encoded events; the first has position `#firstKept`. */
  #kept: string[] = [];
  #firstKept = 1;
  readonly #clients = new Set<ServerResponse>();
  readonly #pings: NodeJS.Timeout;

  constructor(run: string) {
    this.#run = run;
    this.#pings = setInterval(() => this.#send(': ping\n\n'), pingEveryMs).unref();
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** The position of the newest change. */
  get position(): string {
    return `${this.#run}-${this.#firstKept + this.#kept.length - 1}`;
  }

  publish(changes: readonly Change[]): void {
    const first = this.#firstKept + this.#kept.length;
    const texts = changes.map((change, index) => encode(`${this.#run}-${first + index}`, change));
    this.#kept.push(...texts);
    // Removed in chunks, because each removal moves everything that stays.
    if (this.#kept.length > 2 * maxKept) {
      this.#firstKept += this.#kept.length - maxKept;
      this.#kept = this.#kept.slice(-maxKept);
    }
    if (texts.length > 0) this.#send(texts.join(''));
  }

  /** Responds with the stream after `position`, or from now on without one. */
  open(response: ServerResponse, position: string | undefined): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(`retry: 1000\n\n${this.#missed(position)}`);
    this.#clients.add(response);
    response.on('close', () => this.#clients.delete(response));
  }

  close(): void {
    clearInterval(this.#pings);
    for (const response of this.#clients) response.end();
  }

  #missed(position: string | undefined): string {
    if (position === undefined) return '';
    const [, run, count] = /^(.+)-(\d{1,15})$/.exec(position) ?? [];
    const next = Number(count) + 1;
    const isKept = next >= this.#firstKept && next <= this.#firstKept + this.#kept.length;
    if (run !== this.#run || !isKept) return `id: ${this.position}\nevent: reset\ndata: {}\n\n`;
    return this.#kept.slice(next - this.#firstKept).join('');
  }

  #send(text: string): void {
    for (const response of this.#clients) {
      response.write(text);
      if (response.writableLength > maxUnsentBytes) response.destroy();
    }
  }
}

function encode(position: string, change: Change): string {
  const { kind, ...data } = change;
  return `id: ${position}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}
