import type { IncomingMessage } from 'node:http';
import type { Message } from '../protocol/fields.ts';

/** One annotation may have as much as Kubernetes takes for all of them, and JSON may double it. */
export const longestBodyBytes = 524_288;
/** Of all requests together that are under way. */
const mostBytesUnderWay = 4 * longestBodyBytes;

/** Reads bodies, within a limit for each and one for all. */
export class BodyReader {
  #bytesUnderWay = 0;

  /** The whole body; `too-long`, or `too-busy` where others fill the memory. Rejects when the client goes away. */
  async read(request: IncomingMessage): Promise<Buffer | 'too-long' | 'too-busy'> {
    if (Number(request.headers['content-length'] ?? 0) > longestBodyBytes) return 'too-long';
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      // Not destroyed on return: the rest of a body that is too long is read and dropped, so that its sender hears why.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        this.#bytesUnderWay += chunk.length;
        if (bytes > longestBodyBytes) return 'too-long';
        if (this.#bytesUnderWay > mostBytesUnderWay) return 'too-busy';
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    } finally {
      this.#bytesUnderWay -= bytes;
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
