import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '../objects.ts';
import { apiVersionOf, type Resource } from '../registry/resource.ts';
import { badRequest, expired, forbiddenField, invalid, Refusal, versionTooLarge } from '../status-errors.ts';
import { parseFieldSelector, parseLabelSelector } from '../storage/selectors.ts';
import type { Store } from '../storage/store.ts';
import type { Selects } from '../storage/watch-event.ts';
import { type Answer, presentItem, type Representation } from './answer.ts';
import { parseJson } from './body.ts';

const listOptions = { group: 'meta.k8s.io', kind: 'ListOptions' } as const;

/** The selection of a list or watch. Throws 400 for selectors that do not parse. */
export function selectionOf(of: Resource, namespace: string | undefined, query: URLSearchParams): Selects {
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '', of.selectable);
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    fields(object) &&
    labels(object.metadata.labels ?? {});
}

/** Throws 422 for a resourceVersionMatch without anything to match, as lists and watches both do. */
export function checkVersionMatch(query: URLSearchParams): void {
  const match = query.get('resourceVersionMatch');
  const refuse = (why: string): never => {
    throw new Refusal(invalid(listOptions, '', [forbiddenField('resourceVersionMatch', why)]));
  };
  if (query.has('sendInitialEvents')) {
    if (match !== 'NotOlderThan') refuse('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  } else if (match !== null && !query.get('resourceVersion')) {
    refuse('resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
}

/** Go's complaint about a resourceVersion that is not a number; undefined if it is one. */
export function versionComplaint(version: string): string | undefined {
  if (/^\d*$/.test(version)) return undefined;
  return `resourceVersion: Invalid value: "${version}": strconv.ParseUint: parsing "${version}": invalid syntax`;
}

interface Page {
  readonly resourceVersion: number;
  /** The first key of the page. */
  readonly start: string;
}

export interface ListRequest {
  readonly of: Resource;
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
  readonly representation: Representation;
  /** How long to wait for a resourceVersion that does not exist yet. */
  readonly futureVersionWaitMs: number;
  readonly signal: AbortSignal;
}

export async function list(store: Store, request: ListRequest): Promise<Answer> {
  const { of, namespace, query, representation } = request;
  const selects = selectionOf(of, namespace, query);
  const { objects, page, version } = await read(store, request);
  const limit = query.get('resourceVersion') === '0' ? 0 : Number(query.get('limit') ?? 0);
  const keyed = objects.map((object) => ({ key: pageKey(object, namespace), object }));
  const rest = keyed.filter(({ key, object }) => (page === undefined || key >= page.start) && selects(object));
  const items = limit > 0 ? rest.slice(0, limit) : rest;
  const last = items.at(-1);
  const hasMore = items.length < rest.length && last !== undefined;
  const selective = query.get('fieldSelector') || query.get('labelSelector');
  const metadata = {
    resourceVersion: String(version),
    ...(hasMore ? { continue: continueToken({ resourceVersion: version, start: `${last.key}\0` }) } : {}),
    ...(hasMore && !selective ? { remainingItemCount: rest.length - items.length } : {}),
  };
  const names =
    representation === 'metadata'
      ? { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' }
      : { kind: `${of.kind}List`, apiVersion: apiVersionOf(of) };
  const presented = items.map(({ object }) => presentItem(of, object, representation));
  return { status: 200, body: { ...names, metadata, items: presented } };
}

interface Snapshot {
  readonly objects: readonly KubeObject[];
  readonly version: number;
  readonly page?: Page;
}

async function read(store: Store, request: ListRequest): Promise<Snapshot> {
  const { of, namespace, query } = request;
  checkVersionMatch(query);
  const asked = query.get('resourceVersion') ?? '';
  const token = query.get('continue');
  if (token) {
    if (asked !== '' && asked !== '0') {
      throw new Refusal(badRequest('specifying resource version is not allowed when using continue'));
    }
    return readPage(store, of, namespace, parseToken(token));
  }
  const complaint = versionComplaint(asked);
  if (complaint !== undefined) throw new Refusal(badRequest(`invalid resource version: ${complaint}`));
  const version = Number(asked);
  if (version > store.resourceVersion) await refuseFuture(store, version, request);
  if (query.get('resourceVersionMatch') === 'Exact') {
    const objects = store.listAt(of, version, namespace);
    if (objects === undefined) throw new Refusal(expired('The resourceVersion for the provided list is too old.'));
    return { objects, version };
  }
  return { objects: store.list(of, namespace), version: store.resourceVersion };
}

function readPage(store: Store, of: Resource, namespace: string | undefined, page: Page): Snapshot {
  const objects = store.listAt(of, page.resourceVersion, namespace);
  if (objects !== undefined) return { objects, version: page.resourceVersion, page };
  const token = continueToken({ ...page, resourceVersion: store.resourceVersion });
  const message =
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';
  throw new Refusal(expired(message, token));
}

/**
 * The real server waits until its cache has caught up. Here only a caller's mistake can ask for a version so far ahead.
 */
async function refuseFuture(store: Store, asked: number, { futureVersionWaitMs, signal }: ListRequest): Promise<void> {
  await sleep(futureVersionWaitMs, undefined, { signal });
  if (asked > store.resourceVersion) throw new Refusal(versionTooLarge(asked, store.resourceVersion));
}

function pageKey(object: KubeObject, namespace: string | undefined): string {
  return `${namespace === undefined ? (object.metadata.namespace ?? '') : ''}/${object.metadata.name}`;
}

function continueToken({ resourceVersion, start }: Page): string {
  const token = { v: 'meta.k8s.io/v1', rv: resourceVersion, start };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function parseToken(token: string): Page {
  const bytes = Buffer.from(token, 'base64url');
  const refuse = (why: string): Refusal =>
    new Refusal(badRequest(`invalid continue token: continue key is not valid: ${why}`));
  const parsed = parseJson(bytes.toString('utf8'));
  if ('complaint' in parsed) {
    // Go reads bytes and JavaScript characters: Go complains about the first byte.
    const first = bytes[0] ?? 0;
    const printable = first >= 0x20 && first < 0x7f;
    const shown = printable ? String.fromCharCode(first) : `\\u${first.toString(16).padStart(4, '0')}`;
    throw refuse(`invalid character '${shown}' looking for beginning of value`);
  }
  const { rv, start } = (parsed.value ?? {}) as { rv?: unknown; start?: unknown };
  if (typeof rv === 'number' && typeof start === 'string') return { resourceVersion: rv, start };
  throw refuse('incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
}
