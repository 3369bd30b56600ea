import type { RequestOptions } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import { KubeConfig } from '@kubernetes/client-node';
import type { TlsIdentity } from '../http/connections.ts';
import type { Authorization, KubeCredentials } from './kube-credentials.ts';

/**
 * The credentials of a kubeconfig file: client certificates, tokens and exec plugins, as the client library supports
 * them.
 */
export class KubeconfigCredentials implements KubeCredentials {
  readonly server: string;
  readonly #load: () => KubeConfig;
  #config: KubeConfig;
  #tls: TlsIdentity = {};
  #headers: Readonly<Record<string, string>> = {};

  /** `load` reads the kubeconfig. Throws an Error if it is unusable. */
  constructor(load: () => KubeConfig) {
    this.#load = load;
    this.#config = load();
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null) throw new Error('the kubeconfig names no cluster');
    this.server = cluster.server.replace(/\/$/, '');
  }

  async authorize(): Promise<Authorization> {
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
    const all = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized };
    const tls = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as TlsIdentity;
    // The library reads the files again at each call. Keeping the old object while nothing changed lets connections be
    // shared.
    if (!isDeepStrictEqual(tls, this.#tls)) this.#tls = tls;
    const basic = options.auth && `Basic ${Buffer.from(options.auth).toString('base64')}`;
    const headers = Object.fromEntries(
      Object.entries(options.headers ?? {}).map(([name, value]) => [name, `${value}`]),
    );
    this.#headers = { ...(basic && { authorization: basic }), ...headers };
    const isProxied = this.#config.getCurrentCluster()?.proxyUrl !== undefined;
    return {
      headers: this.#headers,
      tls: this.#tls,
      ...(isProxied && typeof options.agent === 'object' && { proxy: options.agent }),
    };
  }

  /** The library caches tokens and inline data, so only a new KubeConfig reads them again. */
  async reload(): Promise<boolean> {
    const [tls, headers] = [this.#tls, this.#headers];
    try {
      this.#config = this.#load();
      await this.authorize();
    } catch {
      return false;
    }
    return tls !== this.#tls || !isDeepStrictEqual(headers, this.#headers);
  }
}

/** As kubectl does: `KUBECONFIG`, else `~/.kube/config`. */
export function loadKubeconfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

export function loadKubeconfigFile(path: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(path);
  return config;
}
