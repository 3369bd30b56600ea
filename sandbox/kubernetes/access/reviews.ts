import { timestamp } from '../objects.ts';
import { generatedUid } from '../registry/metadata.ts';
import type { Registry } from '../registry/registry.ts';
import { pods, type Review, serviceAccounts } from '../registry/table.ts';
import {
  badRequest,
  conflict,
  invalid,
  invalidValue,
  notFound,
  preconditionFailed,
  Refusal,
} from '../status-errors.ts';
import { authorize } from './authorize.ts';
import { apiAudience, type TokenIssuer } from './tokens.ts';
import type { User } from './user.ts';

interface ReviewBody {
  readonly spec?: {
    readonly token?: string;
    readonly audiences?: readonly string[];
    readonly resourceAttributes?: {
      readonly verb?: string;
      readonly group?: string;
      readonly resource?: string;
      readonly subresource?: string;
      readonly namespace?: string;
      readonly name?: string;
    };
    readonly nonResourceAttributes?: { readonly verb?: string; readonly path?: string };
  };
}

/** Answers a review with the verdict in its status. Throws 400 and 422 for one without a question. */
export function answerReview(
  registry: Registry,
  issuer: TokenIssuer,
  user: User,
  review: Review,
  body: ReviewBody,
): Record<string, unknown> {
  const head = { kind: review.kind, apiVersion: `${review.group}/${review.version}`, metadata: {} };
  return review.plural === 'selfsubjectaccessreviews'
    ? { ...head, spec: body.spec ?? {}, status: accessStatus(registry, user, body) }
    : { ...head, spec: body.spec, status: tokenStatus(issuer, body) };
}

function accessStatus(registry: Registry, user: User, { spec = {} }: ReviewBody): Record<string, unknown> {
  const { resourceAttributes: asked, nonResourceAttributes: path } = spec;
  if ((asked === undefined) === (path === undefined)) {
    const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    const cause = invalidValue('spec.resourceAttributes', 'null', why);
    throw new Refusal(invalid({ group: 'authorization.k8s.io', kind: '' }, '', [cause]));
  }
  const { verb = '', group = '', resource = '', subresource, namespace, name } = asked ?? {};
  const wanted =
    path === undefined
      ? {
          verb,
          group,
          resource: subresource ? `${resource}/${subresource}` : resource,
          ...(namespace ? { namespace } : {}),
          ...(name ? { name } : {}),
        }
      : { verb: path.verb ?? '', path: path.path ?? '' };
  const grant = authorize(registry.store, user, wanted);
  return grant === undefined ? { allowed: false } : { allowed: true, ...(grant.reason && { reason: grant.reason }) };
}

function userInfo({ name, uid, groups, extra }: User): Record<string, unknown> {
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    ...(groups === undefined ? {} : { groups }),
    ...(extra === undefined ? {} : { extra }),
  };
}

function tokenStatus(issuer: TokenIssuer, { spec = {} }: ReviewBody): Record<string, unknown> {
  if (!spec.token) throw new Refusal(badRequest('token is required for TokenReview in authentication'));
  const verdict = issuer.check(spec.token, spec.audiences ?? [apiAudience]);
  if (verdict.kind === 'refused') return { user: {}, error: verdict.error };
  return { authenticated: true, user: userInfo(verdict.user), audiences: verdict.audiences };
}

interface TokenRequestBody {
  readonly spec?: {
    readonly audiences?: readonly string[];
    readonly expirationSeconds?: number;
    readonly boundObjectRef?: {
      readonly kind?: string;
      readonly apiVersion?: string;
      readonly name?: string;
      readonly uid?: string;
    } | null;
  };
}

const minLifetimeSeconds = 600;
const defaultLifetimeSeconds = 3600;

/** POST serviceaccounts/NAME/token. Throws 404, 409 for a pod that has been replaced, 422 below ten minutes. */
export function requestToken(
  registry: Registry,
  issuer: TokenIssuer,
  namespace: string,
  name: string,
  body: TokenRequestBody,
): Record<string, unknown> {
  const account = registry.get(serviceAccounts, namespace, name);
  const {
    audiences = [apiAudience],
    expirationSeconds = defaultLifetimeSeconds,
    boundObjectRef = null,
  } = body.spec ?? {};
  if (expirationSeconds < minLifetimeSeconds) {
    const why = 'may not specify a duration less than 10 minutes';
    const cause = invalidValue('spec.expirationSeconds', String(expirationSeconds), why);
    throw new Refusal(invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [cause]));
  }
  const pod = boundObjectRef?.kind === 'Pod' ? boundPod(registry, namespace, boundObjectRef) : undefined;
  const nowMs = registry.now();
  const id = generatedUid(registry.random);
  const token = issuer.issue({
    account,
    audiences,
    lifetimeSeconds: expirationSeconds,
    id,
    nowMs,
    ...(pod ? { pod } : {}),
  });
  const metadata = { name, namespace, uid: account.metadata.uid, creationTimestamp: timestamp(nowMs) };
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata,
    spec: { audiences, expirationSeconds, boundObjectRef },
    status: { token, expirationTimestamp: timestamp(nowMs + expirationSeconds * 1000) },
  };
}

function boundPod(
  registry: Registry,
  namespace: string,
  ref: { name?: string; uid?: string },
): { metadata: { name: string; uid: string }; nodeName?: string } {
  const name = ref.name ?? '';
  const pod = registry.store.get(pods, namespace, name);
  if (pod === undefined) throw new Refusal(notFound(pods, name));
  if (ref.uid !== undefined && ref.uid !== pod.metadata.uid) {
    const cause = `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw new Refusal(preconditionFailed(pods, name, cause));
  }
  if (pod.metadata.deletionTimestamp !== undefined && pod.spec.nodeName === undefined) {
    throw new Refusal(conflict(pods, name));
  }
  const { nodeName } = pod.spec;
  return { metadata: pod.metadata, ...(nodeName === undefined ? {} : { nodeName }) };
}
