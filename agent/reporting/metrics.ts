import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { PodEnd } from '../drain/drain.ts';
import type { PlannedInterruption } from '../interruption/policy.ts';
import type { InterruptionReport } from './interruption-report.ts';

/** Values that are read at each scrape. */
export interface Gauges {
  readonly lastGoodPollAgeSeconds: () => number;
  readonly linkedWrappers: () => number;
  readonly inventoryWaiting: () => number;
  readonly missingRights: () => number;
  readonly clockSkewSeconds: () => number;
  readonly kubernetesSilentSeconds: () => number;
  readonly cordonPendingSeconds: () => number;
  readonly deafAddresses: () => number;
}

/** The sender of malformed input. */
export type GarbageSource = 'metadata' | 'link' | 'kubernetes';

const toldBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const drainBuckets = [0.5, 1, 2, 5, 10, 20, 30, 60, 90, 110, 120, 180];
const leftBuckets = [-5, 0, 1, 2, 5, 10, 20, 30, 60, 90, 110];
const metadataBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5];
const callBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** prom-client's own default, 10 ms, wakes an idle process a hundred times a second. */
const eventLoopPrecisionMs = 1000;

/**
 * The agent's Prometheus metrics. Every label has a handful of known values. IDs, node and pod names and error texts go
 * to the log, because each new value would create a new series forever.
 */
export class AgentMetrics {
  readonly registry: Registry = new Registry();
  readonly #interruptions: Counter<'kind' | 'response'>;
  readonly #ended: Counter<'kind' | 'outcome'>;
  readonly #firstTold: Histogram<'kind'>;
  readonly #lastTold: Histogram<'kind'>;
  readonly #cordoned: Histogram<'kind'>;
  readonly #lastPodGone: Histogram<'kind'>;
  readonly #left: Histogram<'kind'>;
  readonly #alive: Gauge<'kind'>;
  readonly #asked: Counter<'how'>;
  readonly #refused: Counter<'by'>;
  readonly #readings: Counter<'source' | 'outcome'>;
  readonly #garbage: Counter<'source'>;
  readonly #calls: Histogram<'method' | 'status'>;
  readonly #metadataRequests: Histogram;
  readonly #published: Counter<'outcome'>;
  readonly #lost: Counter;
  readonly #webhooksGivenUp: Counter;

  constructor(version: string) {
    const registers = [this.registry];
    const seconds = <L extends string>(name: string, help: string, labelNames: L[], buckets: number[]) =>
      new Histogram({ name: `spotable_${name}_seconds`, help, labelNames, buckets, registers });
    const count = <L extends string>(name: string, help: string, labelNames: L[]) =>
      new Counter({ name: `spotable_${name}_total`, help, labelNames, registers });
    this.#interruptions = count('interruptions', 'Interruptions begun or changed', ['kind', 'response']);
    this.#ended = count('interruptions_ended', 'Interruptions ended, by outcome', ['kind', 'outcome']);
    this.#firstTold = seconds(
      'notice_to_first_told',
      'From the notice to the first wrapper told',
      ['kind'],
      toldBuckets,
    );
    this.#lastTold = seconds('notice_to_last_told', 'From the notice to the last wrapper told', ['kind'], toldBuckets);
    this.#cordoned = seconds('notice_to_cordoned', 'From the notice to the cordon', ['kind'], toldBuckets);
    this.#lastPodGone = seconds(
      'notice_to_last_pod_gone',
      'From the notice to the last pod gone',
      ['kind'],
      drainBuckets,
    );
    this.#left = seconds('left_at_end', 'Time left until the deadline when the drain ended', ['kind'], leftBuckets);
    this.#alive = new Gauge({
      name: 'spotable_pods_alive_at_deadline',
      help: 'Pods still running at the end of the last interruption',
      labelNames: ['kind'],
      registers,
    });
    this.#asked = count('pods_asked_to_go', 'Evictions and deletions that were accepted', ['how']);
    this.#refused = count('evictions_refused', 'Evictions refused by a budget, a webhook or a policy', ['by']);
    this.#readings = count('notice_readings', 'Polls of the notice sources', ['source', 'outcome']);
    this.#garbage = count('garbage', 'Malformed input, by source', ['source']);
    this.#calls = seconds('kubernetes_request', 'Calls to the Kubernetes API', ['method', 'status'], callBuckets);
    this.#metadataRequests = seconds('metadata_request', 'Requests to the metadata service', [], metadataBuckets);
    this.#published = count('inventory_events', 'Inventory events, by outcome', ['outcome']);
    this.#lost = count('game_servers_lost', 'Game servers whose wrapper died silently', []);
    this.#webhooksGivenUp = count('webhooks_given_up', 'Reports that a webhook did not accept in time', []);
    new Gauge({ name: 'spotable_agent_info', help: 'Version', labelNames: ['version'], registers }).set({ version }, 1);
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: eventLoopPrecisionMs });
  }

  /** Sets the values that are read at each scrape. */
  watch({ lastGoodPollAgeSeconds, linkedWrappers, inventoryWaiting, ...health }: Gauges): void {
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: `spotable_${name}`,
        help,
        registers: [this.registry],
        collect() {
          this.set(read());
        },
      });
    gauge('last_good_poll_age_seconds', 'Time since the spot notice was last readable', lastGoodPollAgeSeconds);
    gauge('linked_wrappers', 'Wrappers connected to this agent', linkedWrappers);
    gauge('inventory_events_waiting', 'Inventory events that the queue has not accepted yet', inventoryWaiting);
    gauge(
      'clock_skew_seconds',
      'How far the clock of the node is ahead of the reference clocks',
      health.clockSkewSeconds,
    );
    gauge('missing_rights', 'Kubernetes rights that the agent needs and does not have', health.missingRights);
    gauge(
      'kubernetes_silent_seconds',
      'How long calls to the Kubernetes API have had no response',
      health.kubernetesSilentSeconds,
    );
    gauge(
      'cordon_pending_seconds',
      'How long the node should have been cordoned and is not',
      health.cordonPendingSeconds,
    );
    gauge('link_addresses_missing', 'Addresses of the link that another process holds', health.deafAddresses);
  }

  begun({ kind, response }: PlannedInterruption): void {
    this.#interruptions.inc({ kind, response });
  }

  told({ kind }: PlannedInterruption, firstMs: number, lastMs: number): void {
    this.#firstTold.observe({ kind }, firstMs / 1000);
    this.#lastTold.observe({ kind }, lastMs / 1000);
  }

  cordoned({ kind }: PlannedInterruption, afterMs: number): void {
    this.#cordoned.observe({ kind }, afterMs / 1000);
  }

  ended(
    { kind }: PlannedInterruption,
    { outcome, last_pod_gone_ms, seconds_left, pods_left }: InterruptionReport,
  ): void {
    this.#ended.inc({ kind, outcome });
    // An unknown number must not show as 0, nor as that of the previous interruption.
    if (outcome === 'unknown') this.#alive.remove({ kind });
    if (pods_left === null || (outcome !== 'drained' && outcome !== 'incomplete')) return;
    if (last_pod_gone_ms !== null && outcome === 'drained')
      this.#lastPodGone.observe({ kind }, last_pod_gone_ms / 1000);
    if (seconds_left !== null) this.#left.observe({ kind }, seconds_left);
    this.#alive.set({ kind }, pods_left.length);
  }

  asked(how: PodEnd): void {
    this.#asked.inc({ how });
  }

  refused(by: 'budget' | 'other'): void {
    this.#refused.inc({ by });
  }

  reading(source: string, outcome: string): void {
    this.#readings.inc({ source, outcome });
  }

  garbage(source: GarbageSource): void {
    this.#garbage.inc({ source });
  }

  /** `status` is the response's; `none`: there was none. */
  called(method: string, status: number | undefined, ms: number): void {
    this.#calls.observe({ method, status: status === undefined ? 'none' : `${Math.floor(status / 100)}xx` }, ms / 1000);
  }

  metadataAsked(ms: number): void {
    this.#metadataRequests.observe(ms / 1000);
  }

  published(outcome: 'published' | 'refused', events: number): void {
    this.#published.inc({ outcome }, events);
  }

  lost(): void {
    this.#lost.inc();
  }

  webhookGivenUp(): void {
    this.#webhooksGivenUp.inc();
  }
}
