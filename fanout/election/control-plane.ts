import type { Log } from '../../shared/log.ts';
import { formatEndpoint } from '../endpoint.ts';
import type { ReplicaSlot } from '../relay/session.ts';
import type { RelayWorker } from '../workers/relay-worker.ts';
import {
  type Condition,
  type Election,
  type ElectionInput,
  type ElectionRules,
  elect,
  emptyElection,
  type PrimaryChange,
} from './election.ts';
import { assignSlots, type SlotAssignment } from './replica-slots.ts';
import { initialReplyTiming, isSilent, observeTraffic, type ReplyTiming, type SilenceRules } from './reply-timing.ts';
import type { Upstream } from './upstream.ts';

export interface ControlRules extends ElectionRules, SilenceRules {}

export interface ControlPlaneOptions {
  readonly rules: ControlRules;
  readonly workers: readonly RelayWorker[];
  readonly log: Log;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onPrimaryChange?: (change: PrimaryChange) => void;
}

/** A replica's state, for `/status`, `--top` and metrics. */
export interface ReplicaStatus {
  readonly id: string;
  readonly endpoint: string;
  readonly role: 'primary' | 'spare' | 'waiting';
  readonly condition: Condition;
  readonly readiness: Upstream['readiness'];
  readonly sends: number;
  readonly replies: number;
}

/**
 * A refused replica is tried again after this time without another refusal while players send. Kernels limit ICMP
 * errors to one address to about one a second, so a shorter time would forget a port that is still closed.
 */
const refusalLastsMs = 3000;

/**
 * Combines the reports of sources, traffic and probe, runs the election, and tells every worker which replica is
 * primary. There is one per process: workers with different primaries would show players two different worlds.
 */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  #election: Election = emptyElection;
  #assignments: readonly SlotAssignment[] = [];
  #nextGeneration = 1;
  /** By slot generation. */
  #timings = new Map<number, ReplyTiming>();
  /** Time of the last refusal, by slot generation, on the clock of {@link #runMs}. */
  readonly #refusedAtMs = new Map<number, number>();
  /** Time for which this process has been running, without stalls. */
  #runMs = 0;
  readonly #changes = new Map<PrimaryChange['reason'], number>();
  /** Recoveries after an outage, by slot generation. */
  readonly #recoveries = new Map<number, number>();

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
  }

  get primaryId(): string | undefined {
    return this.#election.primaryId;
  }

  /** Number of changes of the primary, by reason. */
  get changes(): ReadonlyMap<PrimaryChange['reason'], number> {
    return this.#changes;
  }

  get upstreams(): readonly Upstream[] {
    return this.#assignments.map(({ upstream }) => upstream);
  }

  get replicas(): readonly ReplicaStatus[] {
    return this.#election.replicas.map(({ upstream, condition }) => {
      const assignment = this.#assignmentOf(upstream.id);
      const isPrimary = upstream.id === this.#election.primaryId;
      const isWaiting = assignment === undefined || upstream.readiness === 'starting';
      const { sends, replies } = assignment === undefined ? { sends: 0, replies: 0 } : this.#trafficOf(assignment);
      return {
        id: upstream.id,
        endpoint: formatEndpoint({ host: upstream.address, port: upstream.port }),
        role: isPrimary ? 'primary' : isWaiting ? 'waiting' : 'spare',
        condition,
        readiness: upstream.readiness,
        sends,
        replies,
      };
    });
  }

  /** Replaces the list of replicas with a source's current one. */
  setUpstreams(upstreams: readonly Upstream[]): void {
    const before = this.#assignments;
    const { assignments, unassigned, nextGeneration } = assignSlots(before, upstreams, this.#nextGeneration);
    this.#assignments = assignments;
    this.#nextGeneration = nextGeneration;
    const assigned = assignments.map(({ upstream }) => upstream);
    const isChanged =
      assignments.length !== before.length ||
      assignments.some(({ slot }) => before.every((other) => other.slot !== slot));
    for (const assignment of assignments)
      if (!this.#timings.has(assignment.slot.generation)) this.#addReplica(assignment);
    for (const generation of [...this.#timings.keys()])
      if (assignments.every(({ slot }) => slot.generation !== generation)) this.#removeReplica(generation);
    if (unassigned.length > 0)
      this.#options.log.warn({ replicas: unassigned.map(({ id }) => id) }, 'Too many replicas, some get no traffic');
    this.#take({ kind: 'upstreams', upstreams: assigned }, isChanged);
  }

  /** The replica's port is closed. */
  refused(slot: ReplicaSlot): void {
    const assignment = this.#assignments.find((candidate) => candidate.slot.generation === slot.generation);
    if (assignment === undefined) return;
    this.#refusedAtMs.set(slot.generation, this.#runMs);
    if (this.#conditionOf(assignment) === 'refused') return;
    // Replies from before the refusal must not count as a sign of life.
    this.#timings.set(slot.generation, { ...initialReplyTiming, ...this.#trafficOf(assignment) });
    this.#setCondition(assignment, 'refused');
  }

  setHealth(id: string, isHealthy: boolean): void {
    const replica = this.#election.replicas.find(({ upstream }) => upstream.id === id);
    if (replica === undefined || replica.isHealthy === isHealthy) return;
    this.#options.log.info({ replica: id, healthy: isHealthy }, 'Replica health changed');
    this.#take({ kind: 'health', id, isHealthy }, false);
  }

  /** Evaluates the traffic since the last tick. `elapsedMs` is the time for which this process was running. */
  tick(elapsedMs: number): void {
    this.#runMs += elapsedMs;
    for (const assignment of this.#assignments) {
      const { generation } = assignment.slot;
      const before = this.#timings.get(generation) ?? initialReplyTiming;
      this.#timings.set(generation, observeTraffic(before, this.#trafficOf(assignment), elapsedMs));
    }
    for (const assignment of this.#assignments) this.#updateCondition(assignment);
    this.#take({ kind: 'tick' }, false);
  }

  #updateCondition(assignment: SlotAssignment): void {
    const timing = this.#timings.get(assignment.slot.generation) ?? initialReplyTiming;
    const condition = this.#conditionOf(assignment);
    const sinceRefusalMs = this.#runMs - (this.#refusedAtMs.get(assignment.slot.generation) ?? 0);
    if (timing.hasJustReplied && condition !== 'alive') this.#setCondition(assignment, 'alive');
    else if (condition === 'refused') {
      if (timing.unanswered > 0 && sinceRefusalMs > refusalLastsMs) this.#setCondition(assignment, 'untried');
    } else if (condition === 'alive' || condition === 'untried') {
      if (isSilent(timing, this.#options.rules) && this.#isOnlySilent(assignment, timing))
        this.#setCondition(assignment, 'silent');
    }
  }

  /**
   * Whether only this replica is silent: another one has replied since. If all are silent, the players have sent
   * something that no replica answers, and a change of primary would not help.
   */
  #isOnlySilent(assignment: SlotAssignment, { waitedMs }: ReplyTiming): boolean {
    return this.#assignments.some((other) => {
      const timing = this.#timings.get(other.slot.generation) ?? initialReplyTiming;
      return other !== assignment && this.#conditionOf(other) === 'alive' && timing.waitedMs < waitedMs / 2;
    });
  }

  #setCondition(assignment: SlotAssignment, condition: Condition): void {
    const { id } = assignment.upstream;
    const from = this.#conditionOf(assignment);
    this.#options.log.info({ replica: id, from, condition }, 'Replica condition changed');
    const isBack = condition === 'alive';
    const { generation } = assignment.slot;
    if (isBack) this.#recoveries.set(generation, (this.#recoveries.get(generation) ?? 0) + 1);
    this.#take({ kind: 'condition', id, condition }, isBack);
  }

  #take(input: ElectionInput, isChanged: boolean): void {
    const { rules, now, log, workers, onPrimaryChange } = this.#options;
    const { election, change } = elect(this.#election, input, now(), rules);
    this.#election = election;
    if (change === undefined && !isChanged) return;
    const primary = election.primaryId === undefined ? undefined : this.#assignmentOf(election.primaryId)?.slot.index;
    const slots = this.#assignments.map(({ slot }) => ({
      ...slot,
      recoveries: this.#recoveries.get(slot.generation) ?? 0,
    }));
    for (const worker of workers) worker.apply({ slots, primary, isPlanned: change?.isPlanned ?? false });
    if (change === undefined) return;
    this.#changes.set(change.reason, (this.#changes.get(change.reason) ?? 0) + 1);
    log.info({ from: change.from, to: change.to, reason: change.reason }, 'Primary changed');
    onPrimaryChange?.(change);
  }

  #removeReplica(generation: number): void {
    this.#timings.delete(generation);
    this.#refusedAtMs.delete(generation);
    this.#recoveries.delete(generation);
  }

  #addReplica(assignment: SlotAssignment): void {
    // The slot's counters may still hold the figures of an earlier replica.
    this.#timings.set(assignment.slot.generation, { ...initialReplyTiming, ...this.#trafficOf(assignment) });
    this.#options.log.info({ replica: assignment.upstream.id, ...assignment.slot }, 'Replica joined');
  }

  #conditionOf(assignment: SlotAssignment): Condition {
    return (
      this.#election.replicas.find(({ upstream }) => upstream.id === assignment.upstream.id)?.condition ?? 'untried'
    );
  }

  #assignmentOf(id: string): SlotAssignment | undefined {
    return this.#assignments.find(({ upstream }) => upstream.id === id);
  }

  #trafficOf({ slot }: SlotAssignment): { sends: number; replies: number } {
    let sends = 0;
    let replies = 0;
    for (const { counters } of this.#options.workers) {
      const traffic = counters.traffic(slot.index);
      sends += traffic.sends;
      replies += traffic.replies;
    }
    return { sends, replies };
  }
}
