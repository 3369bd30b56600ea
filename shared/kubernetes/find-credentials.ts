import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeCredentials } from './kube-credentials.ts';
import { ServiceAccount, serviceAccountDirectory } from './service-account.ts';

/** The environment variables that locate the API server and our credentials. */
export interface KubeEnvironment {
  readonly KUBECONFIG?: string | undefined;
  readonly HOME?: string | undefined;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  readonly KUBERNETES_SERVICE_PORT?: string | undefined;
  /** Directory of the pod's credentials; default: where the kubelet mounts them. */
  readonly SERVICE_ACCOUNT_DIR?: string | undefined;
}

/**
 * Finds credentials: the kubeconfig in `KUBECONFIG`, else the pod's service account, else the user's kubeconfig.
 * Rejects if there are none, because the client library would then connect to `localhost:8080`.
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

/** A URL needs brackets around an IPv6 address; the environment variable has none. */
function serverOf(host: string, port: string): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function isReadable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
