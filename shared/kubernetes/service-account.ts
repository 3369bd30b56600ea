import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Authorization, KubeCredentials } from './kube-credentials.ts';

/** Where the kubelet mounts a pod's credentials. */
export const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The kubelet renews a token long before it expires. client-go reloads at the same interval. */
const reloadMs = 60_000;

interface Loaded extends Authorization {
  readonly token: string;
  readonly ca: string;
  readonly atMs: number;
}

/**
 * The credentials of our own pod. Read without the Kubernetes client library, which only a kubeconfig needs: loading it
 * would cost every node 15 MiB.
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

  /** Rejects if the files are unreadable and were never read before. */
  async authorize(): Promise<Authorization> {
    const known = this.#loaded;
    if (known !== undefined && this.#monotonicMs() - known.atMs < reloadMs) return known;
    try {
      return await this.#load();
    } catch (error) {
      // The kubelet replaces the files by a rename, so a read may fail briefly. The token of a minute ago is still
      // valid.
      if (known !== undefined) return known;
      throw error;
    }
  }

  async reload(): Promise<boolean> {
    const before = this.#loaded;
    try {
      const { token, ca } = await this.#load();
      return token !== before?.token || ca !== before.ca;
    } catch {
      return false;
    }
  }

  #load(): Promise<Loaded> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #read(): Promise<Loaded> {
    const [token = '', ca = ''] = await Promise.all(
      ['token', 'ca.crt'].map(async (file) => (await readFile(join(this.#directory, file), 'utf8')).trim()),
    );
    const before = this.#loaded;
    this.#loaded = {
      headers: { authorization: `Bearer ${token}` },
      tls: before?.ca === ca ? before.tls : { ca },
      token,
      ca,
      atMs: this.#monotonicMs(),
    };
    return this.#loaded;
  }
}
