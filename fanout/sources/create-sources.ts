import type { Clock } from '../../shared/clock.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { Log } from '../../shared/log.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import { inventoryUpstreams } from './inventory-upstreams.ts';
import { namedUpstreams } from './named-upstreams.ts';
import { podUpstreams } from './pod-upstreams.ts';
import type { UpstreamSource } from './source.ts';

export interface SourceParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Called only where a source needs the Kubernetes API. Rejects with a FatalError where no cluster is configured. */
  readonly connect: () => Promise<KubeConnection>;
}

/** Creates the configured sources; their lists are merged. Rejects with a FatalError if none is configured. */
export async function createSources(
  settings: FanoutSettings,
  { clock, log, connect }: SourceParts,
): Promise<readonly UpstreamSource[]> {
  const { upstreams, dnsIntervalMs, inventoryUrl, inventoryIntervalMs, podSelector, podNamespace, portName } = settings;
  const sources: UpstreamSource[] = [];
  if (upstreams.length > 0)
    sources.push(namedUpstreams({ endpoints: upstreams, intervalMs: dnsIntervalMs, clock, log }));
  if (inventoryUrl !== undefined)
    sources.push(inventoryUpstreams({ url: inventoryUrl, portName, intervalMs: inventoryIntervalMs, clock, log }));
  if (podSelector !== undefined) {
    const where = { namespace: podNamespace, labelSelector: podSelector, portName };
    sources.push(podUpstreams({ connection: await connect(), ...where, clock, log }));
  }
  if (sources.length > 0) return sources;
  const message = 'No replicas configured: set --upstream, --inventory-url or --pod-selector';
  throw new FatalError(message, { status: exitStatus.usage });
}
