import { generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import type { KubeObject } from '../objects.ts';
import { nodes, pods, serviceAccounts } from '../registry/table.ts';
import type { Store } from '../storage/store.ts';
import type { User } from './user.ts';

export const apiAudience = 'https://kubernetes.default.svc';
const clusterPrefix = 'authentication.kubernetes.io/';

interface Reference {
  readonly name: string;
  readonly uid: string;
}

export interface Claims {
  readonly aud: readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly iss: string;
  readonly jti: string;
  readonly 'kubernetes.io': {
    readonly namespace: string;
    readonly node?: Reference;
    readonly pod?: Reference;
    readonly serviceaccount: Reference;
  };
  readonly nbf: number;
  readonly sub: string;
}

export interface TokenRequest {
  readonly account: KubeObject;
  readonly audiences: readonly string[];
  readonly lifetimeSeconds: number;
  /** The token expires with this pod. */
  readonly pod?: { readonly metadata: Reference; readonly nodeName?: string };
  readonly id: string;
  readonly nowMs: number;
}

export type Verdict =
  | { readonly kind: 'valid'; readonly user: User; readonly audiences: readonly string[] }
  | { readonly kind: 'refused'; readonly error: string };

/** Issues and checks service account tokens: signed JSON web tokens with Kubernetes' claims. */
export class TokenIssuer {
  readonly #keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly #store: Store;
  readonly #now: () => number;

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
    this.#keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  }

  issue(request: TokenRequest): string {
    const header = encode({ alg: 'ES256', kid: 'sandbox' });
    const body = `${header}.${encode(this.#claims(request))}`;
    const signature = sign('sha256', Buffer.from(body), { key: this.#keys.privateKey, dsaEncoding: 'ieee-p1363' });
    return `${body}.${signature.toString('base64url')}`;
  }

  /** The token's user, if the token is meant for one of `audiences` and its bound object still exists. */
  check(token: string, audiences: readonly string[]): Verdict {
    const [header, body, signature, ...rest] = token.split('.');
    const claims = body === undefined ? undefined : (decode(body) as Claims | undefined);
    if (header === undefined || signature === undefined || rest.length > 0 || claims?.sub === undefined) {
      return { kind: 'refused', error: 'invalid bearer token' };
    }
    const key = { key: this.#keys.publicKey, dsaEncoding: 'ieee-p1363' } as const;
    if (!verify('sha256', Buffer.from(`${header}.${body}`), key, Buffer.from(signature, 'base64url'))) {
      return { kind: 'refused', error: '[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]' };
    }
    const common = claims.aud.filter((audience) => audiences.includes(audience));
    if (common.length === 0) {
      const error = `[invalid bearer token, token audiences ${quoted(claims.aud)} is invalid for the target audiences ${quoted(audiences)}]`;
      return { kind: 'refused', error };
    }
    if (claims.exp * 1000 <= this.#now()) {
      return { kind: 'refused', error: '[invalid bearer token, service account token has expired]' };
    }
    return this.#isAlive(claims)
      ? { kind: 'valid', user: userOf(claims), audiences: common }
      : { kind: 'refused', error: '[invalid bearer token, service account token has been invalidated]' };
  }

  #claims({ account, audiences, lifetimeSeconds, pod, id, nowMs }: TokenRequest): Claims {
    const { name, namespace = '', uid } = account.metadata;
    const iat = Math.floor(nowMs / 1000);
    const node = pod?.nodeName === undefined ? undefined : this.#store.get(nodes, undefined, pod.nodeName);
    return {
      aud: audiences,
      exp: iat + lifetimeSeconds,
      iat,
      iss: apiAudience,
      jti: id,
      'kubernetes.io': {
        namespace,
        ...(node === undefined ? {} : { node: { name: node.metadata.name, uid: node.metadata.uid } }),
        ...(pod === undefined ? {} : { pod: { name: pod.metadata.name, uid: pod.metadata.uid } }),
        serviceaccount: { name, uid },
      },
      nbf: iat,
      sub: `system:serviceaccount:${namespace}:${name}`,
    };
  }

  #isAlive({ 'kubernetes.io': bound }: Claims): boolean {
    const account = this.#store.get(serviceAccounts, bound.namespace, bound.serviceaccount.name);
    if (account?.metadata.uid !== bound.serviceaccount.uid) return false;
    if (bound.pod === undefined) return true;
    return this.#store.get(pods, bound.namespace, bound.pod.name)?.metadata.uid === bound.pod.uid;
  }
}

function userOf({ sub, jti, 'kubernetes.io': bound }: Claims): User {
  const { node, pod } = bound;
  return {
    name: sub,
    uid: bound.serviceaccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${bound.namespace}`, 'system:authenticated'],
    extra: {
      [`${clusterPrefix}credential-id`]: [`JTI=${jti}`],
      ...(node === undefined
        ? {}
        : { [`${clusterPrefix}node-name`]: [node.name], [`${clusterPrefix}node-uid`]: [node.uid] }),
      ...(pod === undefined
        ? {}
        : { [`${clusterPrefix}pod-name`]: [pod.name], [`${clusterPrefix}pod-uid`]: [pod.uid] }),
    },
  };
}

function encode(part: unknown): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function decode(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return undefined;
  }
}

function quoted(audiences: readonly string[]): string {
  return `[${audiences.map((audience) => JSON.stringify(audience)).join(' ')}]`;
}
