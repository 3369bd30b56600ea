import { KubeError, refusal } from '../../shared/kubernetes/kube-answer.ts';
import { KubeConnection, type KubeRequest } from '../../shared/kubernetes/kube-connection.ts';
import type { KubeCredentials } from '../../shared/kubernetes/kube-credentials.ts';
import type { AnyKubeObject, KubeList, KubeObject, WatchEvent } from './kube-object.ts';

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface RemoveOptions extends CallOptions {
  readonly gracePeriodSeconds?: number;
  /** Refuse (409) to delete another object of the same name. */
  readonly uid?: string;
}

export type PatchKind = 'strategic' | 'merge';

const patchContentTypes: Record<PatchKind, string> = {
  strategic: 'application/strategic-merge-patch+json',
  merge: 'application/merge-patch+json',
};

const never = new AbortController().signal;

/**
 * JSON calls for the sandbox's own parts. Paths are as on the wire: `/api/v1/nodes/n1`. Throws a KubeError if a call is
 * refused or gets no answer.
 */
export class KubeClient {
  readonly connection: KubeConnection;

  constructor(credentials: KubeCredentials) {
    this.connection = new KubeConnection(credentials);
  }

  get<T extends KubeObject = AnyKubeObject>(path: string, options: CallOptions = {}): Promise<T> {
    return this.#call({ method: 'GET', path }, options);
  }

  list<T extends KubeObject = AnyKubeObject>(path: string, options: CallOptions = {}): Promise<KubeList<T>> {
    return this.#call({ method: 'GET', path }, options);
  }

  create<T extends KubeObject = AnyKubeObject>(path: string, body: object, options: CallOptions = {}): Promise<T> {
    return this.#call({ method: 'POST', path, body }, options);
  }

  replace<T extends KubeObject = AnyKubeObject>(path: string, body: object, options: CallOptions = {}): Promise<T> {
    return this.#call({ method: 'PUT', path, body }, options);
  }

  patch<T extends KubeObject = AnyKubeObject>(
    path: string,
    kind: PatchKind,
    body: object,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#call({ method: 'PATCH', path, body, contentType: patchContentTypes[kind] }, options);
  }

  async remove(path: string, options: RemoveOptions = {}): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...deleteOptions(options) };
    await this.#call({ method: 'DELETE', path, body }, options);
  }

  async evict(namespace: string, name: string, options: RemoveOptions = {}): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
    const body = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name, namespace },
      deleteOptions: deleteOptions(options),
    };
    await this.#call({ method: 'POST', path, body }, options);
  }

  /** Begins with an ADDED for every existing object, and ends when the server ends it or the signal aborts. */
  async *watch<T extends KubeObject = AnyKubeObject>(
    path: string,
    { signal = never }: CallOptions = {},
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    try {
      const lines = this.connection.lines(`${path}?watch=1&allowWatchBookmarks=true`, signal);
      for await (const line of lines) yield JSON.parse(line) as WatchEvent<T>;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Ends all connections. */
  close(): void {
    this.connection.close();
  }

  async #call<T>(request: Omit<KubeRequest, 'signal'>, { signal = never }: CallOptions): Promise<T> {
    const answer = await this.connection.request({ ...request, signal });
    if (answer.status < 200 || answer.status > 299 || !answer.isJson)
      throw refusal(`${request.method} ${request.path}`, answer);
    return answer.body as T;
  }
}

/** Credentials for a server that takes a fixed token or none. `ca` is the authority (PEM) of an `https:` server. */
export function fixedCredentials(
  server: string,
  { token, ca }: { readonly token?: string | undefined; readonly ca?: string | undefined } = {},
): KubeCredentials {
  const headers: Readonly<Record<string, string>> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const authorization = { headers, tls: ca === undefined ? {} : { ca } };
  return { server, authorize: async () => authorization, reload: async () => false };
}

export function isRefusedWith(error: unknown, ...statuses: number[]): error is KubeError {
  return error instanceof KubeError && error.status !== undefined && statuses.includes(error.status);
}

function deleteOptions({ gracePeriodSeconds, uid }: RemoveOptions): object {
  return { gracePeriodSeconds, preconditions: uid === undefined ? undefined : { uid } };
}
