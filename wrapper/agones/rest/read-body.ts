import type { IncomingMessage } from 'node:http';
import type { Message } from '../protocol/fields.ts';

/** One annotation may have as much as Kubernetes takes for all of them, and JSON may double it. */
export const maxBodyBytes = 524_288;
/**
 * A body that is too long is read on and dropped up to here, because most clients read no answer before they have sent
 * all: closed in the middle, they would see a broken connection and no reason.
 */
const maxDroppedBytes = 33_554_432;
/** Of all requests together that are under way. */
const maxBytesUnderWay = 4 * maxBodyBytes;

/** Reads bodies, within a limit for each and one for all. */
export class BodyReader {
  #bytesUnderWay = 0;

  /** The whole body; `too-long`, or `too-busy` where others fill the memory. Rejects when the client goes away. */
  async read(request: IncomingMessage): Promise<Buffer | 'too-long' | 'too-busy'> {
    let isTooLong = Number(request.headers['content-length'] ?? 0) > maxBodyBytes;
    let isTooBusy = false;
    const chunks: Buffer[] = [];
    let bytes = 0;
    let kept = 0;
    try {
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > maxDroppedBytes) return 'too-long';
        isTooLong ||= bytes > maxBodyBytes;
        isTooBusy ||= this.#bytesUnderWay + chunk.length > maxBytesUnderWay;
        if (isTooLong || isTooBusy) continue;
        this.#bytesUnderWay += chunk.length;
        kept += chunk.length;
        chunks.push(chunk);
      }
      if (isTooLong) return 'too-long';
      return isTooBusy ? 'too-busy' : Buffer.concat(chunks);
    } finally {
      this.#bytesUnderWay -= kept;
    }
  }
}

/** The message in a body; none is an empty message, as in Agones. A text says what is wrong. */
export function parseBody(body: Buffer): Message | string {
  if (body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return 'the body is not JSON';
  }
  if (value === null) return {};
  return typeof value === 'object' && !Array.isArray(value) ? (value as Message) : 'the body is not a JSON object';
}
