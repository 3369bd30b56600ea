import { HttpMethod, KubeConfig, RequestContext } from '@kubernetes/client-node';
import type { Dispatcher } from 'undici';
import type { Authorization, KubeCredentials } from './kube-credentials.ts';

/** The credentials of a kubeconfig file, with client certificates, tokens and exec plugins as the library knows them. */
export class KubeconfigCredentials implements KubeCredentials {
  readonly server: string;
  readonly #config: KubeConfig;
  #dispatcher: Dispatcher | undefined;

  /** Throws an Error where there is no usable kubeconfig. */
  constructor() {
    this.#config = new KubeConfig();
    this.#config.loadFromDefault();
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null) throw new Error('the kubeconfig names no cluster');
    this.server = cluster.server.replace(/\/$/, '');
  }

  async authorize(): Promise<Authorization> {
    const context = new RequestContext(this.server, HttpMethod.GET);
    await this.#config.applySecurityAuthentication(context);
    // Each call above makes a dispatcher of its own; only the first is ever used, so that connections are shared.
    this.#dispatcher ??= context.getDispatcher();
    return { headers: context.getHeaders(), dispatcher: this.#dispatcher };
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
  }
}
