import type { Clock } from '../../../shared/clock.ts';
import type { InterruptionKind } from '../../../shared/interruption/interruption.ts';
import { parseSpotNotice, spotNoticePath } from '../../../shared/interruption/parse-spot-notice.ts';
import type { ParsedNotices } from '../../../shared/interruption/parsed-notices.ts';
import type { MetadataClient } from '../../../shared/metadata/metadata-client.ts';
import { GarbageError, type NoticeSource } from '../notice-source.ts';
import { lifecycleStatePath, parseLifecycleState } from './parse-lifecycle-state.ts';
import { maintenancePath, parseMaintenance } from './parse-maintenance.ts';
import { parseRebalance, rebalancePath } from './parse-rebalance.ts';

export interface MetadataSourcesOptions {
  readonly metadata: MetadataClient;
  readonly clock: Clock;
  /** The instance's part of notice IDs. */
  readonly identity: (signal: AbortSignal) => Promise<string>;
  readonly rebalanceTtlMs: number;
  /** The machine's boot time: epoch milliseconds. */
  readonly bootedAtMs: () => number;
}

/**
 * The spot notice leaves two minutes. The others leave more, and AWS recommends polling them every five seconds at
 * most.
 */
const slowEveryLooks = 5;

/** All sources in the instance metadata service. */
export function metadataSources(options: MetadataSourcesOptions): readonly NoticeSource[] {
  const { metadata, clock, identity, rebalanceTtlMs, bootedAtMs } = options;
  const source = (
    kind: InterruptionKind,
    path: string,
    everyLooks: number,
    parse: (body: string, instanceId: string) => ParsedNotices,
  ): NoticeSource => ({
    name: path,
    kinds: [kind],
    everyLooks,
    look: async (signal) => {
      const answer = await metadata.get(path, signal);
      if (answer.kind === 'absent') return { notices: [], remarks: [] };
      const parsed = parse(answer.body, await identity(signal));
      if ('garbage' in parsed) throw new GarbageError(`Cannot read notice ${path}: ${parsed.garbage}`);
      return parsed;
    },
  });
  let rebalanceSeenMs: number | undefined;
  return [
    source('spot-termination', spotNoticePath, 1, parseSpotNotice),
    source('rebalance', rebalancePath, slowEveryLooks, (body, instanceId) => {
      const nowMs = clock.now();
      const context = { instanceId, ttlMs: rebalanceTtlMs, nowMs, firstSeenMs: rebalanceSeenMs ?? nowMs };
      const parsed = parseRebalance(body, context);
      if (!('garbage' in parsed)) rebalanceSeenMs ??= nowMs;
      return parsed;
    }),
    source('maintenance', maintenancePath, slowEveryLooks, (body) => parseMaintenance(body, bootedAtMs())),
    source('asg-termination', lifecycleStatePath, slowEveryLooks, parseLifecycleState),
  ];
}
