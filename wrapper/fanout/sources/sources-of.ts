import type { Clock } from '../../../shared/clock.ts';
import { exitStatus, FatalError } from '../../../shared/exit-status.ts';
import type { Log } from '../../../shared/log.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import { namedUpstreams } from './named-upstreams.ts';
import type { UpstreamSource } from './source.ts';

/** The sources that the settings name. Throws a FatalError where they name none. */
export function sourcesOf(settings: FanoutSettings, clock: Clock, log: Log): readonly UpstreamSource[] {
  const sources: UpstreamSource[] = [];
  if (settings.upstreams.length > 0)
    sources.push(namedUpstreams({ endpoints: settings.upstreams, intervalMs: settings.dnsIntervalMs, clock, log }));
  if (sources.length === 0)
    throw new FatalError('No replicas to serve: give --upstream, --inventory-url or --pod-selector', {
      status: exitStatus.usage,
    });
  return sources;
}
