import type { Clock } from '../../shared/clock.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { Log } from '../../shared/log.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import { inventoryUpstreams } from './inventory-upstreams.ts';
import { namedUpstreams } from './named-upstreams.ts';
import { podUpstreams } from './pod-upstreams.ts';
import type { UpstreamSource } from './source.ts';

/** The sources that the settings name; their lists add up. Throws a FatalError where they name none. */
export function sourcesOf(settings: FanoutSettings, clock: Clock, log: Log): readonly UpstreamSource[] {
  const { upstreams, dnsIntervalMs, inventoryUrl, inventoryIntervalMs, podSelector, podNamespace, portName } = settings;
  const sources: UpstreamSource[] = [];
  if (upstreams.length > 0)
    sources.push(namedUpstreams({ endpoints: upstreams, intervalMs: dnsIntervalMs, clock, log }));
  if (inventoryUrl !== undefined)
    sources.push(inventoryUpstreams({ url: inventoryUrl, portName, intervalMs: inventoryIntervalMs, clock, log }));
  if (podSelector !== undefined)
    sources.push(podUpstreams({ namespace: podNamespace, labelSelector: podSelector, portName, clock, log }));
  if (sources.length > 0) return sources;
  const message = 'No replicas to serve: give --upstream, --inventory-url or --pod-selector';
  throw new FatalError(message, { status: exitStatus.usage });
}
