import type { Endpoint } from '../endpoint.ts';
import type { FanoutSettings } from '../fanout-settings.ts';
import type { Counters } from '../relay/counters.ts';
import type { RelayLimits } from '../relay/relay.ts';
import type { Place } from '../relay/session.ts';
import type { Rate } from '../relay/token-bucket.ts';

/** What a plane needs, on whatever sockets it runs. */
export interface PlaneOptions {
  readonly listen: Endpoint;
  /** Several workers share the port; the kernel keeps a player with one of them. */
  readonly isShared: boolean;
  /** Local addresses that replicas are reached from; none: the system's choice. */
  readonly upstreamAddresses: readonly string[];
  /** Of this plane, besides its public one. More are not opened: what watches and steers the proxy needs descriptors too. */
  readonly maxSockets: number;
  /** The longest datagram that is sent together with others of its length. */
  readonly trainBytes: number;
  readonly limits: RelayLimits;
  readonly counters: Counters;
  readonly onRefused: (place: Place) => void;
  /** A socket failed in a way that concerns no single datagram. */
  readonly onError: (error: Error) => void;
}

/** A second's worth at once: players come in groups when a match begins. */
const perSecond = (rate: number): Rate => ({ perSecond: rate, burst: rate });

export function relayLimits(settings: FanoutSettings): RelayLimits {
  return {
    maxSessions: settings.maxSessions,
    maxSessionsPerSource: settings.maxSessionsPerSource,
    creation: perSecond(settings.sessionRate),
    idleMs: settings.sessionIdleMs,
    youngIdleMs: settings.youngIdleMs,
    establishedAfterDatagrams: 4,
    establishedAfterMs: 1000,
    youngShare: 0.25,
    sourceRate: perSecond(settings.sourceRate),
    totalRate: perSecond(settings.totalRate),
    amplification: settings.amplification,
    handoverMs: settings.handoverMs,
    deafenAbove: settings.deafenAbove,
  };
}
