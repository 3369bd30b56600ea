import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import type { ReplicaStatus } from '../election/control-plane.ts';
import { type Counters, dropReasons, latencyBoundsUs, type Total } from '../relay/counters.ts';

/** The proxy's state at one moment, for metrics, `/status` and `--top`. */
export interface FanoutStats {
  /** One per worker. */
  readonly workers: readonly Counters[];
  readonly replicas: readonly ReplicaStatus[];
  /** Changes of the primary so far, by reason. */
  readonly changes: ReadonlyMap<string, number>;
  readonly isReady: boolean;
  readonly isDraining: boolean;
}

const prefix = 'spotable_fanout_';

const totalMetrics: readonly (readonly [Total, string, string])[] = [
  ['datagramsIn', 'downstream_datagrams_received_total', 'Datagrams of players with a session'],
  ['bytesIn', 'downstream_bytes_received_total', 'Payload bytes of players with a session'],
  ['datagramsOut', 'downstream_datagrams_sent_total', 'Replies sent to players'],
  ['bytesOut', 'downstream_bytes_sent_total', 'Payload bytes sent to players'],
  ['datagramsUpstream', 'upstream_datagrams_sent_total', 'Copies sent to replicas'],
  ['bytesUpstream', 'upstream_bytes_sent_total', 'Payload bytes sent to replicas'],
  ['repliesIn', 'upstream_datagrams_received_total', 'Replies read, of all replicas'],
  ['spareReplies', 'upstream_spare_replies_total', 'Replies of spares, read and dropped'],
  ['sessionsOpened', 'sessions_opened_total', 'Sessions opened'],
  ['sessionsExpired', 'sessions_expired_total', 'Sessions that ended because their player was idle'],
  ['sessionsEvicted', 'sessions_evicted_total', 'Unconfirmed sessions that were evicted by newer ones'],
  ['sessionsIsolated', 'sessions_isolated_total', 'Players given a socket of their own because of a flood'],
];

export function sum(workers: readonly Counters[], name: Total): number {
  return workers.reduce((total, counters) => total + counters.total(name), 0);
}

export function sumDropped(workers: readonly Counters[], reason: (typeof dropReasons)[number]): number {
  return workers.reduce((total, counters) => total + counters.dropped(reason), 0);
}

/**
 * The metrics, read from `stats` at each scrape. Labels take few values, all known beforehand except the replicas' IDs:
 * there is no label for a player or a session.
 */
export function fanoutMetrics(stats: () => FanoutStats): Registry {
  const registry = new Registry();
  const registers = [registry];
  for (const [total, name, help] of totalMetrics)
    new Counter({
      ...{ name: `${prefix}${name}`, help, registers },
      collect() {
        this.reset();
        this.inc(sum(stats().workers, total));
      },
    });
  const labelled = (name: string, help: string, label: string, values: () => Iterable<readonly [string, number]>) => ({
    ...{ name: `${prefix}${name}`, help, registers, labelNames: [label] },
    collect(this: Counter | Gauge) {
      this.reset();
      for (const [value, count] of values()) this.inc({ [label]: value }, count);
    },
  });
  const drops = () => dropReasons.map((reason) => [reason, sumDropped(stats().workers, reason)] as const);
  new Counter(labelled('drops_total', 'Datagrams dropped, by reason', 'reason', drops));
  const perWorker = (total: Total) => () =>
    stats().workers.map((counters, worker) => [String(worker), counters.total(total)] as const);
  new Gauge(labelled('sessions', 'Sessions', 'worker', perWorker('sessions')));
  const unconfirmed = 'Sessions whose source address is not yet confirmed';
  new Gauge(labelled('sessions_unconfirmed', unconfirmed, 'worker', perWorker('unconfirmedSessions')));
  new Counter(labelled('primary_changes_total', 'Changes of the primary, by reason', 'reason', () => stats().changes));
  const perReplica = (isTrue: (replica: ReplicaStatus) => boolean) => () =>
    stats().replicas.map((replica) => [replica.id, Number(isTrue(replica))] as const);
  const isPrimary = perReplica(({ role }) => role === 'primary');
  new Gauge(labelled('replica_primary', '1 for the primary', 'replica', isPrimary));
  const isAlive = perReplica(({ condition }) => condition === 'alive');
  new Gauge(labelled('replica_alive', '1 if the replica replies', 'replica', isAlive));
  const flag = (name: string, help: string, isSet: () => boolean) =>
    new Gauge({
      ...{ name: `${prefix}${name}`, help, registers },
      collect() {
        this.set(Number(isSet()));
      },
    });
  flag('ready', '1 while new players are accepted', () => stats().isReady);
  flag('draining', '1 after SIGTERM', () => stats().isDraining);
  registry.registerMetric(latencyHistogram(() => stats().workers));
  return registry;
}

/**
 * The latency histogram. Workers count into buckets in shared memory, but prom-client's Histogram takes single values
 * only, so this is a metric of our own: the registry needs no more than `name` and `get()`.
 */
function latencyHistogram(workers: () => readonly Counters[]): Metric {
  const name = `${prefix}added_latency_seconds`;
  const help = 'Time from the arrival of a datagram to its last copy sent, sampled';
  const get = async () => {
    const latencies = workers().map((counters) => counters.latency());
    const sumUs = latencies.reduce((total, latency) => total + latency.sumUs, 0);
    let count = 0;
    const buckets = [...latencyBoundsUs, Number.POSITIVE_INFINITY].map((boundUs, bucket) => {
      count += latencies.reduce((total, { counts }) => total + (counts[bucket] ?? 0), 0);
      const le = boundUs === Number.POSITIVE_INFINITY ? '+Inf' : boundUs / 1e6;
      return { metricName: `${name}_bucket`, labels: { le }, value: count };
    });
    const totals = [
      { metricName: `${name}_sum`, labels: {}, value: sumUs / 1e6 },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return { name, help, type: 'histogram', aggregator: 'sum', values: [...buckets, ...totals] };
  };
  return { name, help, get } as unknown as Metric;
}
