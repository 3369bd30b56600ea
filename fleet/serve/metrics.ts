import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { AllocationOutcome } from '../allocation/allocator.ts';
import type { ClusterState } from '../cluster/cluster-view.ts';
import { isOfFleet } from '../cluster/fleet.ts';
import { allocationOf, hasSession } from '../cluster/game-server-pod.ts';
import type { LoopStep } from '../loop/plan-pass.ts';

const allocationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const callBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** prom-client's own default, 10 ms, wakes an idle process a hundred times a second. */
const eventLoopPrecisionMs = 1000;

export interface Gauges {
  readonly state: ClusterState;
  readonly isLeader: () => boolean;
  readonly isProtected: () => boolean;
  readonly waiting: () => number;
}

/** Prometheus metrics. Fleets are the only names among the labels: a namespace has a handful. */
export class FleetMetrics {
  readonly registry: Registry = new Registry();
  readonly #allocations: Counter<'outcome'>;
  readonly #seconds: Histogram;
  readonly #conflicts: Counter;
  readonly #steps: Counter<'step'>;
  readonly #calls: Histogram<'method' | 'status'>;

  constructor(version: string) {
    const registers = [this.registry];
    this.#allocations = new Counter({
      name: 'spotable_fleet_allocations_total',
      help: 'Requests for a game server, by how they ended',
      labelNames: ['outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'spotable_fleet_allocation_seconds',
      help: 'From a request for a game server to its answer',
      buckets: allocationBuckets,
      registers,
    });
    this.#conflicts = new Counter({
      name: 'spotable_fleet_conflicts_total',
      help: 'Game servers that somebody else had first',
      registers,
    });
    this.#steps = new Counter({
      name: 'spotable_fleet_steps_total',
      help: 'What the loop did',
      labelNames: ['step'],
      registers,
    });
    this.#calls = new Histogram({
      name: 'spotable_fleet_kubernetes_request_seconds',
      help: 'Calls to the Kubernetes API',
      labelNames: ['method', 'status'],
      buckets: callBuckets,
      registers,
    });
    new Gauge({ name: 'spotable_fleet_info', help: 'Version', labelNames: ['version'], registers }).set({ version }, 1);
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: eventLoopPrecisionMs });
  }

  /** Sets the source of gauges that are read at each scrape. */
  watch({ state, isLeader, isProtected, waiting }: Gauges): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: `spotable_fleet_${name}`,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    gauge('leader', 'Whether this replica does what must be done once', () => Number(isLeader()));
    gauge('sessions_protected', 'Whether an admission policy protects sessions', () => Number(isProtected()));
    gauge('requests_waiting', 'Requests that wait for their turn', waiting);
    new Gauge({
      name: 'spotable_fleet_game_servers',
      help: 'Game servers of each fleet: ready and unallocated, starting, with a session',
      labelNames: ['fleet', 'state'],
      registers,
      collect() {
        this.reset();
        for (const fleet of state.fleets.values()) {
          const counts = { ready: 0, starting: 0, allocated: 0 };
          for (const pod of state.pods.values()) {
            if (pod.isDeleting || !isOfFleet(fleet, pod)) continue;
            if (hasSession(pod)) counts.allocated++;
            else if (allocationOf(pod) === 'unallocated') counts[pod.isReady ? 'ready' : 'starting']++;
          }
          for (const [name, count] of Object.entries(counts)) this.set({ fleet: fleet.name, state: name }, count);
        }
      },
    });
  }

  allocated(outcome: AllocationOutcome['kind'], ms: number): void {
    this.#allocations.inc({ outcome });
    this.#seconds.observe(ms / 1000);
  }

  conflict(): void {
    this.#conflicts.inc();
  }

  step(step: LoopStep['kind']): void {
    this.#steps.inc({ step });
  }

  /** `status`: undefined without an answer. */
  called(method: string, status: number | undefined, ms: number): void {
    this.#calls.observe({ method, status: status === undefined ? 'none' : `${Math.floor(status / 100)}xx` }, ms / 1000);
  }
}
