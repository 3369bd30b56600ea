import type { IncomingMessage } from 'node:http';
import { authorize } from '../access/authorize.ts';
import { answerReview, requestToken } from '../access/reviews.ts';
import type { TokenIssuer } from '../access/tokens.ts';
import type { User } from '../access/user.ts';
import type { Registry } from '../registry/registry.ts';
import { namespaces } from '../registry/table.ts';
import {
  badRequest,
  forbidden,
  forbiddenPath,
  methodNotAllowed,
  notAcceptable,
  Refusal,
  unknownResource,
  unsupportedPatch,
} from '../status-errors.ts';
import { type Answer, presentObject, type Representation, representationOf } from './answer.ts';
import { mediaTypeOf, parseObject, readBody, requireJsonBody } from './body.ts';
import { type Call, nameOf } from './call.ts';
import { answerPath } from './discovery.ts';
import { typed } from './fields.ts';
import { list } from './list.ts';
import { patch } from './patch.ts';
import { bindPod, evictPod, readScale, writeScale } from './subresources.ts';
import { type ResourcePath, type Target, targetOf, verbOf } from './target.ts';
import type { WatchRequest } from './watch.ts';
import { create, remove, removeCollection, update } from './write.ts';

export interface Routing {
  readonly registry: Registry;
  readonly issuer: TokenIssuer;
  readonly futureVersionWaitMs: number;
}

export interface Arrival {
  readonly request: IncomingMessage;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly signal: AbortSignal;
}

export type Routed =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'watch'; readonly watch: WatchRequest };

/**
 * Turns a request into its answer: checks rights first, then the method, the accepted types and the body, and then
 * acts. Refusals are thrown as a Refusal.
 */
export async function route(routing: Routing, arrival: Arrival): Promise<Routed> {
  const target = targetOf(arrival.path);
  if (target.kind === 'path') return { kind: 'answer', answer: routePath(routing, arrival) };
  const isWatch = ['1', 'true'].includes(arrival.query.get('watch') ?? '');
  const verb = verbOf(arrival.method, target.at, isWatch);
  if (verb === undefined) throw new Refusal(methodNotAllowed());
  refuseUnauthorized(routing, arrival.user, target.at, verb);
  const representation = representationOf(arrival.request.headers.accept);
  if (representation === undefined) throw new Refusal(notAcceptable());
  switch (target.kind) {
    case 'unknown':
      throw new Refusal(unknownResource());
    case 'review':
      if (verb !== 'create') throw new Refusal(methodNotAllowed());
      return { kind: 'answer', answer: await routeReview(routing, arrival, target.review) };
    case 'resource':
      return routeResource(routing, arrival, target, verb, representation);
    default:
      return target satisfies never;
  }
}

function routePath({ registry }: Routing, { method, path, query, user }: Arrival): Answer {
  const verb = method.toLowerCase();
  if (authorize(registry.store, user, { verb, path }) === undefined) {
    throw new Refusal(forbiddenPath(user.name, verb, path));
  }
  const answer = method === 'GET' || method === 'HEAD' ? answerPath(path, query) : undefined;
  return answer ?? { status: 404, body: '404 page not found\n' };
}

function refuseUnauthorized({ registry }: Routing, user: User, at: ResourcePath, verb: string): void {
  const { group, plural, namespace, name, subresource } = at;
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  // The rights on a Namespace may be given in that namespace.
  const scope = plural === namespaces.plural ? name : namespace;
  const wanted = { verb, group, resource, ...(scope ? { namespace: scope } : {}), ...(name ? { name } : {}) };
  if (authorize(registry.store, user, wanted) !== undefined) return;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${user.name}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
  throw new Refusal(forbidden({ group, plural, kind: plural }, name ?? '', why));
}

async function routeReview(
  { registry, issuer }: Routing,
  { request, user, query }: Arrival,
  review: Extract<Target, { kind: 'review' }>['review'],
): Promise<Answer> {
  requireJsonBody(request);
  const json = parseObject(await readBody(request), review.kind);
  const result = typed(review.model, json, query);
  if (result.kind === 'refused') {
    const message = `${review.kind} in version "${review.version}" cannot be handled as a ${review.kind}: ${result.complaint}`;
    throw new Refusal(badRequest(message));
  }
  return { status: 201, body: answerReview(registry, issuer, user, review, result.value), headers: result.headers };
}

async function routeResource(
  routing: Routing,
  arrival: Arrival,
  { resource: of, at, subresource }: Extract<Target, { kind: 'resource' }>,
  verb: string,
  representation: Representation,
): Promise<Routed> {
  const { query, request, signal, user } = arrival;
  const { registry, futureVersionWaitMs } = routing;
  if (verb === 'watch') return { kind: 'watch', watch: { of, namespace: at.namespace, query, representation } };
  if (verb === 'list') {
    const wanted = { of, namespace: at.namespace, query, representation, futureVersionWaitMs, signal };
    return { kind: 'answer', answer: await list(registry.store, wanted) };
  }
  const mediaType = mediaTypeOf(request);
  const act = actOf(verb, at, subresource, of.namespaced);
  if (verb === 'patch' && !patchTypes.has(mediaType)) throw new Refusal(unsupportedPatch());
  // Typed clients in Go may send protobuf, which the double cannot read.
  if (verb !== 'get' && verb !== 'patch') requireJsonBody(request);
  const body = verb === 'get' ? '' : await readBody(request);
  const call: Call = { registry, of, at, query, mediaType, body, representation, user };
  return { kind: 'answer', answer: act(call, routing) };
}

const patchTypes: ReadonlySet<string> = new Set([
  'application/strategic-merge-patch+json',
  'application/merge-patch+json',
]);

type Act = (call: Call, routing: Routing) => Answer;

/** The act for a verb and subresource. Throws 405 if the method does not fit. */
function actOf(verb: string, at: ResourcePath, subresource: string | undefined, namespaced: boolean): Act {
  const act = acts[`${verb} ${subresource ?? ''}`.trim()];
  const onObject = at.name !== undefined;
  const fits = verb === 'create' ? onObject === (subresource !== undefined) : onObject || verb === 'deletecollection';
  const isPlaced = !namespaced || at.namespace !== undefined;
  if (act === undefined || !fits || !isPlaced) throw new Refusal(methodNotAllowed());
  return act;
}

const read: Act = (call) => ({
  status: 200,
  body: presentObject(call.of, call.registry.get(call.of, call.at.namespace, nameOf(call)), call.representation),
});

const acts: Readonly<Record<string, Act>> = {
  get: read,
  'get status': read,
  'get scale': (call) => readScale(call),
  create: (call) => create(call),
  'create eviction': (call) => evictPod(call),
  'create binding': (call) => bindPod(call),
  'create token': (call, { issuer }) => ({
    status: 201,
    body: requestToken(
      call.registry,
      issuer,
      call.at.namespace ?? '',
      nameOf(call),
      parseObject(call.body, 'TokenRequest'),
    ),
  }),
  update: (call) => update(call, undefined),
  'update status': (call) => update(call, 'status'),
  'update scale': (call) => writeScale(call, 'PUT'),
  patch: (call) => patch(call, undefined),
  'patch status': (call) => patch(call, 'status'),
  'patch scale': (call) => writeScale(call, 'PATCH'),
  delete: (call) => remove(call),
  deletecollection: (call) => removeCollection(call),
};
