import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeCredentials } from './kube-credentials.ts';
import { ServiceAccount, serviceAccountDirectory } from './service-account.ts';

/** What the surroundings of the process say about the API server. */
export interface Surroundings {
  readonly KUBECONFIG?: string | undefined;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  readonly KUBERNETES_SERVICE_PORT?: string | undefined;
  /** Where the pod's credentials are mounted, if not where the kubelet puts them. */
  readonly SERVICE_ACCOUNT_DIR?: string | undefined;
}

/** A kubeconfig that is named, else the service account of our pod, else the kubeconfig of our user. Rejects where there is none. */
export async function findCredentials(surroundings: Surroundings): Promise<KubeCredentials> {
  const directory = surroundings.SERVICE_ACCOUNT_DIR ?? serviceAccountDirectory;
  const { KUBECONFIG: file, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = surroundings;
  const isInPod = host !== undefined && host !== '' && (await isReadable(join(directory, 'token')));
  if ((file === undefined || file === '') && isInPod) return new ServiceAccount(serverOf(host, port), directory);
  const { KubeconfigCredentials } = await import('./kubeconfig.ts');
  return new KubeconfigCredentials();
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
