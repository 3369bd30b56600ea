import type { IncomingMessage } from 'node:http';
import { badRequest, Refusal, tooLarge, unsupportedBody } from '../status-errors.ts';

/** etcd's default limit, and so the API server's. */
const maxBodyBytes = 3 * 1024 * 1024;

/** Reads the whole body. Throws 413 beyond 3 MiB. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Refusal(tooLarge(maxBodyBytes));
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The media type without its parameters. */
export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** Throws 415 for a body whose type is not JSON. A body without a type counts as JSON. */
export function requireJsonBody(request: IncomingMessage): void {
  if (!['', 'application/json'].includes(mediaTypeOf(request))) throw new Refusal(unsupportedBody());
}

const quotedBytes = 30;

/** The object in a POST or PUT. Throws 400 in the words of the API server's decoder. */
export function parseObject(text: string, kind: string): Record<string, unknown> {
  const parsed = parseJson(text);
  if ('complaint' in parsed) {
    const start = text.length > quotedBytes ? `${text.slice(0, quotedBytes)} ...` : text;
    const message = `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${parsed.complaint} (${start})`;
    throw new Refusal(badRequest(message));
  }
  const { value } = parsed;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    const found = Array.isArray(value) ? 'array' : typeof value;
    const cause = `json: cannot unmarshal ${found} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`;
    throw new Refusal(badRequest(`couldn't get version/kind; json parse error: ${cause}`));
  }
  return value as Record<string, unknown>;
}

/** Parses JSON; an error is in the words of Go's decoder. */
export function parseJson(text: string): { readonly value: unknown } | { readonly complaint: string } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    const at = Number(/at position (\d+)/.exec(String(error))?.[1] ?? text.length);
    const found = text[at];
    if (found === undefined) return { complaint: 'unexpected end of JSON input' };
    return { complaint: `invalid character '${found}' looking for beginning of value` };
  }
}
