import type { Clock } from '../../shared/clock.ts';
import { instant } from '../../shared/interruption/interruption.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { Fleet } from '../cluster/fleet.ts';

const maxMessageChars = 1024;

/** Writes an event that `kubectl describe deployment` shows. Logs an event that cannot be written, and drops it. */
export async function writeDeploymentEvent(
  { connection, clock, log }: { readonly connection: KubeConnection; readonly clock: Clock; readonly log: Log },
  { namespace, name, uid }: Fleet,
  reason: string,
  message: string,
  signal: AbortSignal,
): Promise<void> {
  // The API server takes whole seconds in these two.
  const now = `${instant(clock.now()).slice(0, 19)}Z`;
  const body = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: `${name}.`, namespace },
    involvedObject: { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name, uid },
    type: 'Normal',
    reason,
    message: message.slice(0, maxMessageChars),
    source: { component: 'spotable-fleet' },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
  try {
    const { status } = await connection.request({ method: 'POST', path, body, signal });
    if (status !== 201) log.warn({ status, reason }, 'Kubernetes event lost');
  } catch (error) {
    if (!signal.aborted) log.warn({ err: errorText(error), reason }, 'Kubernetes event lost');
  }
}
