import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent } from 'undici';
import type { Authorization, KubeCredentials } from './kube-credentials.ts';

/** Where the kubelet puts a pod's credentials. */
export const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The kubelet renews a token long before it expires; client-go reads it as often. */
const reloadMs = 60_000;

interface Loaded extends Authorization {
  readonly dispatcher: Agent;
  readonly ca: string;
  readonly atMs: number;
}

/**
 * The credentials of the pod that we run in. Read here and not by the Kubernetes client library, which a kubeconfig needs and which would cost every
 * node some 15 MiB.
 */
export class ServiceAccount implements KubeCredentials {
  readonly server: string;
  readonly #directory: string;
  readonly #monotonicMs: () => number;
  #loaded: Loaded | undefined;
  #loading: Promise<Loaded> | undefined;

  constructor(server: string, directory: string, monotonicMs: () => number = () => performance.now()) {
    this.server = server;
    this.#directory = directory;
    this.#monotonicMs = monotonicMs;
  }

  /** Rejects where the files cannot be read and never could. */
  async authorize(): Promise<Authorization> {
    const known = this.#loaded;
    if (known !== undefined && this.#monotonicMs() - known.atMs < reloadMs) return known;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    try {
      return await this.#loading;
    } catch (error) {
      // The files are replaced by a rename; a token that was good a minute ago still is.
      if (known !== undefined) return known;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#loaded?.dispatcher.destroy();
  }

  async #load(): Promise<Loaded> {
    const [token, ca] = await Promise.all(
      ['token', 'ca.crt'].map((file) => readFile(join(this.#directory, file), 'utf8')),
    );
    const before = this.#loaded;
    // Another authority needs other connections; a renewed token does not.
    const isSame = before !== undefined && before.ca === ca;
    const dispatcher = isSame ? before.dispatcher : new Agent({ connect: { ca: ca ?? '' } });
    if (!isSame) void before?.dispatcher.close();
    this.#loaded = {
      headers: { authorization: `Bearer ${(token ?? '').trim()}` },
      dispatcher,
      ca: ca ?? '',
      atMs: this.#monotonicMs(),
    };
    return this.#loaded;
  }
}
