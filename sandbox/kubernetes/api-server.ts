import { once } from 'node:events';
import { listen } from '../../shared/listen.ts';
import { Faults } from '../faults.ts';
import { apiAudience, TokenIssuer } from './access/tokens.ts';
import { admin, anonymous, type User } from './access/user.ts';
import { type ControllerName, startControllers } from './controllers/controllers.ts';
import { type RateLimit, RateLimiter } from './http/rate-limit.ts';
import { type Call, createApiHttpServer, type RequestRecord } from './http/server.ts';
import { generatedUid } from './registry/metadata.ts';
import { Registry } from './registry/registry.ts';
import { namespaces, serviceAccounts } from './registry/table.ts';
import { Store } from './storage/store.ts';

export interface ApiServerOptions {
  /** Default 0: a free one. */
  port?: number;
  /**
   * Users by their bearer token. If set, calls without a token are system:anonymous, and rules, roles and bindings
   * decide a user's rights. If unset, everyone without a token is an administrator.
   */
  tokens?: Readonly<Record<string, User>>;
  rateLimit?: RateLimit;
  /** Delay before each call is handled. */
  latencyMs?: number | ((call: Call) => number);
  /** The controllers to run. Default: all. */
  controllers?: readonly ControllerName[];
  bookmarkPeriodMs?: number;
  watchTimeoutMs?: number;
  watchBufferBytes?: number;
  /** How long a list waits for a resourceVersion that does not exist yet. */
  futureVersionWaitMs?: number;
  /** Number of changes kept per resource for watches that resume. */
  historyLimit?: number;
  /** Delay from a node's removal to the removal of its pods. */
  podGarbageMs?: number;
  now?: () => number;
  random?: () => number;
}

export interface ApiServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly faults: Faults;
  readonly store: Store;
  /** Writes under the rules of the API and without HTTP: for setting up a test. */
  readonly registry: Registry;
  /** The last 10,000 requests, oldest first. */
  readonly requests: readonly RequestRecord[];
  /** A token for that service account, or any token of `options.tokens`. */
  issueToken(namespace: string, serviceAccount: string): string;
  /** Ends all watches and connections and frees the port. */
  close(): Promise<void>;
}

const tokenLifetimeSeconds = 3600;

export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const { now = Date.now, random = Math.random } = options;
  const store = new Store(options.historyLimit === undefined ? {} : { historyLimit: options.historyLimit });
  const registry = new Registry({ store, now, random });
  const issuer = new TokenIssuer(store, now);
  const faults = new Faults(random);
  const requests: RequestRecord[] = [];
  const watches = new Set<() => void>();
  const { latencyMs = 0 } = options;
  const server = createApiHttpServer(
    {
      registry,
      issuer,
      faults,
      futureVersionWaitMs: options.futureVersionWaitMs ?? 3_000,
      authentication: {
        issuer,
        tokens: new Map(Object.entries(options.tokens ?? {})),
        withoutCredentials: options.tokens === undefined ? admin : anonymous,
      },
      ...(options.rateLimit === undefined
        ? {}
        : { limiter: new RateLimiter(options.rateLimit, () => performance.now()) }),
      latencyMs: typeof latencyMs === 'number' ? () => latencyMs : latencyMs,
      watchTimers: {
        bookmarkPeriodMs: options.bookmarkPeriodMs ?? 60_000,
        watchTimeoutMs: options.watchTimeoutMs ?? 1_800_000,
        watchBufferBytes: options.watchBufferBytes ?? 16 * 1024 * 1024,
      },
      requests,
    },
    watches,
  );
  const stopControllers = startControllers(registry, {
    ...(options.controllers === undefined ? {} : { run: options.controllers }),
    ...(options.podGarbageMs === undefined ? {} : { podGarbageMs: options.podGarbageMs }),
  });
  createStandardNamespaces(registry);
  const port = await listen(server, { host: '127.0.0.1', port: options.port ?? 0 });
  const close = async (): Promise<void> => {
    stopControllers();
    for (const end of [...watches]) end();
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    faults,
    store,
    registry,
    requests,
    issueToken: (namespace, name) => issueToken(registry, issuer, namespace, name),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function createStandardNamespaces(registry: Registry): void {
  for (const name of ['default', 'kube-node-lease', 'kube-public', 'kube-system']) {
    registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec: {} });
  }
}

function issueToken(registry: Registry, issuer: TokenIssuer, namespace: string, name: string): string {
  return issuer.issue({
    account: registry.get(serviceAccounts, namespace, name),
    audiences: [apiAudience],
    lifetimeSeconds: tokenLifetimeSeconds,
    id: generatedUid(registry.random),
    nowMs: registry.now(),
  });
}
