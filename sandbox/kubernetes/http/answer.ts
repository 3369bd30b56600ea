import type { ServerResponse } from 'node:http';
import type { KubeObject } from '../objects.ts';
import { apiVersionOf, type Resource } from '../registry/resource.ts';
import { internalError, Refusal, type Status } from '../status-errors.ts';

export interface Answer {
  readonly status: number;
  /** A string is sent as text/plain, anything else as JSON. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export function refusalOf(error: unknown): Answer {
  const status =
    error instanceof Refusal ? error.status : internalError(error instanceof Error ? error.message : String(error));
  return statusAnswer(status);
}

export function statusAnswer(status: Status): Answer {
  const retryAfter = status.details?.retryAfterSeconds;
  return {
    status: status.code ?? 200,
    body: status,
    ...(retryAfter === undefined ? {} : { headers: { 'retry-after': String(retryAfter) } }),
  };
}

export function sendAnswer(response: ServerResponse, { status, body, headers }: Answer): void {
  const isText = typeof body === 'string';
  const payload = Buffer.from(isText ? body : `${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json',
    'content-length': payload.length,
    ...headers,
  });
  response.end(payload);
}

export type Representation = 'object' | 'metadata';

/** The form in which the client accepts objects; undefined if the double cannot write any that it accepts. */
export function representationOf(accept: string | undefined): Representation | undefined {
  for (const range of (accept ?? '*/*').split(',')) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice('as='.length);
    if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    // The double does not write Tables; kubectl accepts plain JSON as its second choice.
    if (as === undefined) return 'object';
    if (as.startsWith('partialobjectmetadata')) return 'metadata';
  }
  return undefined;
}

/** The object in the requested version, with kind and apiVersion first. */
export function presentObject(
  of: Resource,
  object: KubeObject,
  representation: Representation,
): Record<string, unknown> {
  if (representation === 'metadata') {
    return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
  }
  const { apiVersion, kind, ...fields } = object;
  return { kind: of.kind, ...fields, apiVersion: apiVersionOf(of) };
}

/** An item of a list has no kind and apiVersion, because the list has them. */
export function presentItem(of: Resource, object: KubeObject, representation: Representation): Record<string, unknown> {
  const { kind, apiVersion, ...item } = presentObject(of, object, representation);
  return representation === 'metadata' ? { kind, apiVersion, ...item } : item;
}
