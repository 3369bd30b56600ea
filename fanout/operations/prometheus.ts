import type { ReplicaStatus } from '../election/control-plane.ts';
import { type Counters, dropReasons, latencyBoundsUs, type Total } from '../relay/counters.ts';

export interface Figures {
  readonly workers: readonly Counters[];
  readonly replicas: readonly ReplicaStatus[];
  readonly changes: ReadonlyMap<string, number>;
  readonly isReady: boolean;
  readonly isDraining: boolean;
}

const counterTexts: readonly (readonly [Total, string, string])[] = [
  ['datagramsIn', 'downstream_datagrams_received_total', 'Datagrams of players with a session'],
  ['bytesIn', 'downstream_bytes_received_total', 'Their payload'],
  ['datagramsOut', 'downstream_datagrams_sent_total', 'Answers passed to players'],
  ['bytesOut', 'downstream_bytes_sent_total', 'Their payload'],
  ['datagramsUpstream', 'upstream_datagrams_sent_total', 'Copies sent to replicas'],
  ['bytesUpstream', 'upstream_bytes_sent_total', 'Their payload'],
  ['repliesIn', 'upstream_datagrams_received_total', 'Replies of all replicas that were read'],
  ['spareReplies', 'upstream_spare_replies_total', 'Replies of spares, read and dropped'],
  ['sessionsOpened', 'sessions_opened_total', 'Sessions opened'],
  ['sessionsExpired', 'sessions_expired_total', 'Sessions that ended because their player fell silent'],
  ['sessionsEvicted', 'sessions_evicted_total', 'Sessions not yet established that made room for newer ones'],
  ['sessionsIsolated', 'sessions_isolated_total', 'Players given a socket of their own because of a flood'],
];

const prefix = 'spotable_fanout_';

export function sum(workers: readonly Counters[], name: Total): number {
  return workers.reduce((total, counters) => total + counters.total(name), 0);
}

/** Everything in Prometheus' text format 0.0.4. Labels have few values: nothing is labelled by player or session. */
export function formatMetrics({ workers, replicas, changes, isReady, isDraining }: Figures): string {
  const lines: string[] = [];
  const metric = (name: string, kind: string, help: string, samples: readonly (readonly [string, number])[]) => {
    lines.push(`# HELP ${prefix}${name} ${help}`, `# TYPE ${prefix}${name} ${kind}`);
    for (const [labels, value] of samples) lines.push(`${prefix}${name}${labels} ${value}`);
  };
  for (const [total, name, help] of counterTexts) metric(name, 'counter', help, [['', sum(workers, total)]]);
  const drops = dropReasons.map((reason) => {
    const dropped = workers.reduce((total, counters) => total + counters.dropped(reason), 0);
    return [label({ reason }), dropped] as const;
  });
  metric('drops_total', 'counter', 'Datagrams that went no further, by reason', drops);
  const perWorker = (total: Total) =>
    workers.map((counters, worker) => [label({ worker: String(worker) }), counters.total(total)] as const);
  metric('sessions', 'gauge', 'Sessions', perWorker('sessions'));
  metric(
    'sessions_young',
    'gauge',
    'Sessions whose address has yet to show that it is real',
    perWorker('youngSessions'),
  );
  const changed = [...changes].map(([reason, count]) => [label({ reason }), count] as const);
  metric('primary_changes_total', 'counter', 'Changes of the primary, by reason', changed);
  const ofReplicas = (value: (replica: ReplicaStatus) => number) =>
    replicas.map((replica) => [label({ replica: replica.id }), value(replica)] as const);
  metric(
    'replica_primary',
    'gauge',
    '1 for the primary',
    ofReplicas(({ role }) => (role === 'primary' ? 1 : 0)),
  );
  metric(
    'replica_alive',
    'gauge',
    '1 where it answers',
    ofReplicas(({ condition }) => (condition === 'alive' ? 1 : 0)),
  );
  metric('ready', 'gauge', '1 where new players are taken', [['', isReady ? 1 : 0]]);
  metric('draining', 'gauge', '1 after SIGTERM', [['', isDraining ? 1 : 0]]);
  lines.push(...formatLatency(workers));
  return `${lines.join('\n')}\n`;
}

function formatLatency(workers: readonly Counters[]): readonly string[] {
  const name = `${prefix}added_latency_seconds`;
  const lines = [
    `# HELP ${name} Time from a datagram's arrival to its last copy sent, sampled`,
    `# TYPE ${name} histogram`,
  ];
  const latencies = workers.map((counters) => counters.latency());
  let cumulative = 0;
  for (let bucket = 0; bucket <= latencyBoundsUs.length; bucket++) {
    cumulative += latencies.reduce((total, { counts }) => total + (counts[bucket] ?? 0), 0);
    const bound = latencyBoundsUs[bucket];
    lines.push(`${name}_bucket{le="${bound === undefined ? '+Inf' : bound / 1e6}"} ${cumulative}`);
  }
  const sumUs = latencies.reduce((total, latency) => total + latency.sumUs, 0);
  lines.push(`${name}_sum ${sumUs / 1e6}`, `${name}_count ${cumulative}`);
  return lines;
}

function label(labels: Readonly<Record<string, string>>): string {
  const quoted = (value: string) => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${quoted(value)}"`)
    .join(',')}}`;
}
