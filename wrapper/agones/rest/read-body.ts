import type { IncomingMessage } from 'node:http';
import type { Message } from '../protocol/fields.ts';

/** One annotation may be as large as Kubernetes allows for all of them together, and JSON escapes may double it. */
export const maxBodyBytes = 524_288;
/**
 * Read and drop a body that is too long up to this size, because most clients read no answer before they have sent
 * everything: if the connection closed in the middle, they would see an error without a reason.
 */
const maxDroppedBytes = 33_554_432;
/** Limit for the bodies of all concurrent requests together. */
const maxBytesUnderWay = 4 * maxBodyBytes;

/** Reads bodies, within a limit for each and one for all. */
export class BodyReader {
  #bytesUnderWay = 0;

  /**
   * Resolves with the whole body, `too-long`, or `too-busy` if other bodies fill the memory. Rejects when the client
   * goes away.
   */
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

/** Parses a body; an empty one is an empty message, as in Agones. A string result says what is wrong. */
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
