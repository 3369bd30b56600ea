import type { Endpoint } from '../endpoint.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import type { Counters } from '../relay/counters.ts';
import type { RelayLimits } from '../relay/relay.ts';
import type { ReplicaSlot } from '../relay/session.ts';
import type { Rate } from '../relay/token-bucket.ts';

/** What a worker needs, on any transport. */
export interface WorkerOptions {
  readonly listen: Endpoint;
  /** Whether several workers share the port; the kernel always gives a player to the same one. */
  readonly isShared: boolean;
  /** Local addresses of upstream sockets; none: the system chooses. */
  readonly upstreamAddresses: readonly string[];
  /** Maximum number of sockets besides the public one. The rest of the process needs descriptors too. */
  readonly maxSockets: number;
  /** Longest datagram that is sent as part of a GSO batch. */
  readonly gsoMaxBytes: number;
  readonly limits: RelayLimits;
  readonly counters: Counters;
  readonly onRefused: (slot: ReplicaSlot) => void;
  /** A socket failed in a way that does not concern a single datagram. */
  readonly onError: (error: Error) => void;
}

/** The burst is one second's worth: players arrive in groups when a match begins. */
const perSecond = (rate: number): Rate => ({ perSecond: rate, burst: rate });

export function relayLimits(settings: FanoutSettings): RelayLimits {
  return {
    maxSessions: settings.maxSessions,
    maxSessionsPerSource: settings.maxSessionsPerSource,
    creation: perSecond(settings.sessionRate),
    idleMs: settings.sessionIdleMs,
    unconfirmedIdleMs: settings.unconfirmedIdleMs,
    confirmedAfterDatagrams: 4,
    confirmedAfterMs: 1000,
    unconfirmedShare: 0.25,
    sourceRate: perSecond(settings.sourceRate),
    totalRate: perSecond(settings.totalRate),
    amplification: settings.amplification,
    handoverMs: settings.handoverMs,
    muteAbove: settings.muteAbove,
  };
}
