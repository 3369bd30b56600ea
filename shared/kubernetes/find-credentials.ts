import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeCredentials } from './kube-credentials.ts';
import { ServiceAccount, serviceAccountDirectory } from './service-account.ts';

/** What the environment of the process says about the API server. */
export interface KubeEnvironment {
  readonly KUBECONFIG?: string | undefined;
  readonly HOME?: string | undefined;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  readonly KUBERNETES_SERVICE_PORT?: string | undefined;
  /** Where the pod's credentials are mounted, if not where the kubelet puts them. */
  readonly SERVICE_ACCOUNT_DIR?: string | undefined;
}

/**
 * A kubeconfig that is named, else the service account of our pod, else the kubeconfig of our user. Rejects where there
 * is none: the client library would take `localhost:8080` for the cluster.
 */
export async function findCredentials(environment: KubeEnvironment): Promise<KubeCredentials> {
  const directory = environment.SERVICE_ACCOUNT_DIR ?? serviceAccountDirectory;
  const { KUBECONFIG: file = '', HOME: home, KUBERNETES_SERVICE_HOST: host = '' } = environment;
  const { KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (file === '' && host !== '' && (await isReadable(join(directory, 'token'))))
    return new ServiceAccount(serverOf(host, port), directory);
  const isThere = file !== '' || (home !== undefined && (await isReadable(join(home, '.kube', 'config'))));
  if (!isThere) throw new Error('no service account in this pod, no KUBECONFIG and no ~/.kube/config');
  const { KubeconfigCredentials, loadKubeconfig } = await import('./kubeconfig.ts');
  return new KubeconfigCredentials(loadKubeconfig);
}

/** An IPv6 address stands in brackets in a URL, and without them in the variable. */
function serverOf(host: string, port: string): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function isReadable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
