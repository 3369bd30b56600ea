import { exitStatus, FatalError } from '../exit-status.ts';
import { errorText } from '../log.ts';
import { findCredentials, type KubeEnvironment } from './find-credentials.ts';
import { type ConnectionListeners, KubeConnection } from './kube-connection.ts';

/** Connects with the credentials that the environment names. Rejects with a FatalError if it names no cluster. */
export async function connectToKubernetes(
  environment: KubeEnvironment,
  listeners: ConnectionListeners = {},
): Promise<KubeConnection> {
  try {
    return new KubeConnection(await findCredentials(environment), listeners);
  } catch (error) {
    const message = `Cannot load the Kubernetes configuration: ${errorText(error)}`;
    throw new FatalError(message, { status: exitStatus.config, cause: error });
  }
}
