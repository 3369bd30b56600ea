import type { Log } from '../../shared/log.ts';
import { formatEndpoint } from '../endpoint.ts';
import type { Plane } from '../relay/plane.ts';
import type { Place } from '../relay/session.ts';
import {
  type Condition,
  type Election,
  type ElectionInput,
  type ElectionRules,
  elect,
  emptyElection,
  type PrimaryChange,
} from './election.ts';
import { assignPlaces, type Seat } from './places.ts';
import { isSilent, newRhythm, observe, type Rhythm, type RhythmRules } from './rhythm.ts';
import type { Upstream } from './upstream.ts';

export interface ControlRules extends ElectionRules, RhythmRules {}

export interface ControlPlaneOptions {
  readonly rules: ControlRules;
  readonly planes: readonly Plane[];
  readonly log: Log;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly onPrimaryChange?: (change: PrimaryChange) => void;
}

/** A replica with all that is known of it, for people and metrics. */
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
 * A port that has not refused for so long although players send is open again. Kernels send such ICMP answers only about once a
 * second to one address.
 */
const refusalLastsMs = 3000;

/**
 * Brings together what the sources, the traffic and the probe say, holds the election, and tells every worker who answers. One a
 * process, because workers that disagreed on the primary would show players two worlds.
 */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  #election: Election = emptyElection;
  #seats: readonly Seat[] = [];
  #nextGeneration = 1;
  /** By generation. */
  #rhythms = new Map<number, Rhythm>();
  /** When each was last refused, by generation, on the clock of {@link #runMs}. */
  readonly #refusedAtMs = new Map<number, number>();
  /** Time in which this process was running. */
  #runMs = 0;
  readonly #changes = new Map<PrimaryChange['reason'], number>();
  /** How often each came back after an outage, by generation. */
  readonly #returns = new Map<number, number>();

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
  }

  get primaryId(): string | undefined {
    return this.#election.primaryId;
  }

  /** How often the primary changed, by reason. */
  get changes(): ReadonlyMap<PrimaryChange['reason'], number> {
    return this.#changes;
  }

  get upstreams(): readonly Upstream[] {
    return this.#seats.map(({ upstream }) => upstream);
  }

  get replicas(): readonly ReplicaStatus[] {
    return this.#election.replicas.map(({ upstream, condition }) => {
      const seat = this.#seatOf(upstream.id);
      const isPrimary = upstream.id === this.#election.primaryId;
      const isWaiting = seat === undefined || upstream.readiness === 'starting';
      const { sends, replies } = seat === undefined ? { sends: 0, replies: 0 } : this.#trafficOf(seat);
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

  /** Takes over the whole list of replicas, as a source has it now. */
  setUpstreams(upstreams: readonly Upstream[]): void {
    const before = this.#seats;
    const { seats, left, nextGeneration } = assignPlaces(before, upstreams, this.#nextGeneration);
    this.#seats = seats;
    this.#nextGeneration = nextGeneration;
    const seated = seats.map(({ upstream }) => upstream);
    const isChanged =
      seats.length !== before.length || seats.some(({ place }) => before.every((other) => other.place !== place));
    for (const seat of seats) if (!this.#rhythms.has(seat.place.generation)) this.#welcome(seat);
    for (const generation of [...this.#rhythms.keys()])
      if (seats.every(({ place }) => place.generation !== generation)) this.#forget(generation);
    if (left.length > 0)
      this.#options.log.warn({ replicas: left.map(({ id }) => id) }, 'Too many replicas: these get no traffic');
    this.#take({ kind: 'upstreams', upstreams: seated }, isChanged);
  }

  /** Nobody listens at the replica's port. */
  refused(place: Place): void {
    const seat = this.#seats.find((candidate) => candidate.place.generation === place.generation);
    if (seat === undefined) return;
    this.#refusedAtMs.set(place.generation, this.#runMs);
    if (this.#conditionOf(seat) === 'refused') return;
    // Replies from before the refusal are no sign of life any more.
    this.#rhythms.set(place.generation, { ...newRhythm, ...this.#trafficOf(seat) });
    this.#setCondition(seat, 'refused');
  }

  setHealth(id: string, isHealthy: boolean): void {
    const replica = this.#election.replicas.find(({ upstream }) => upstream.id === id);
    if (replica === undefined || replica.isHealthy === isHealthy) return;
    this.#options.log.info({ replica: id, healthy: isHealthy }, 'Replica health changed');
    this.#take({ kind: 'health', id, isHealthy }, false);
  }

  /** Weighs the traffic since the last tick. `elapsedMs`: time in which this process was running. */
  tick(elapsedMs: number): void {
    this.#runMs += elapsedMs;
    for (const seat of this.#seats) {
      const { generation } = seat.place;
      const before = this.#rhythms.get(generation) ?? newRhythm;
      this.#rhythms.set(generation, observe(before, this.#trafficOf(seat), elapsedMs));
    }
    for (const seat of this.#seats) this.#judge(seat);
    this.#take({ kind: 'tick' }, false);
  }

  #judge(seat: Seat): void {
    const rhythm = this.#rhythms.get(seat.place.generation) ?? newRhythm;
    const condition = this.#conditionOf(seat);
    const sinceRefusalMs = this.#runMs - (this.#refusedAtMs.get(seat.place.generation) ?? 0);
    if (rhythm.hasJustReplied && condition !== 'alive') this.#setCondition(seat, 'alive');
    else if (condition === 'refused') {
      if (rhythm.unanswered > 0 && sinceRefusalMs > refusalLastsMs) this.#setCondition(seat, 'untried');
    } else if (condition === 'alive' || condition === 'untried') {
      if (isSilent(rhythm, this.#options.rules) && this.#isAlone(seat, rhythm)) this.#setCondition(seat, 'silent');
    }
  }

  /**
   * Whether the silence is this replica's own: another one has replied since. When all are silent the players have sent
   * something that nobody answers, and a change of primary would help nobody.
   */
  #isAlone(seat: Seat, { waitedMs }: Rhythm): boolean {
    return this.#seats.some((other) => {
      const rhythm = this.#rhythms.get(other.place.generation) ?? newRhythm;
      return other !== seat && this.#conditionOf(other) === 'alive' && rhythm.waitedMs < waitedMs / 2;
    });
  }

  #setCondition(seat: Seat, condition: Condition): void {
    const { id } = seat.upstream;
    const from = this.#conditionOf(seat);
    this.#options.log.info({ replica: id, from, condition }, 'Replica condition changed');
    const isBack = condition === 'alive';
    const { generation } = seat.place;
    if (isBack) this.#returns.set(generation, (this.#returns.get(generation) ?? 0) + 1);
    this.#take({ kind: 'condition', id, condition }, isBack);
  }

  #take(input: ElectionInput, isChanged: boolean): void {
    const { rules, now, log, planes, onPrimaryChange } = this.#options;
    const { election, change } = elect(this.#election, input, now(), rules);
    this.#election = election;
    if (change === undefined && !isChanged) return;
    const primary = election.primaryId === undefined ? undefined : this.#seatOf(election.primaryId)?.place.place;
    const places = this.#seats.map(({ place }) => ({ ...place, returns: this.#returns.get(place.generation) ?? 0 }));
    for (const plane of planes) plane.apply({ places, primary, isPlanned: change?.isPlanned ?? false });
    if (change === undefined) return;
    this.#changes.set(change.reason, (this.#changes.get(change.reason) ?? 0) + 1);
    log.info({ from: change.from, to: change.to, reason: change.reason }, 'Primary changed');
    onPrimaryChange?.(change);
  }

  #forget(generation: number): void {
    this.#rhythms.delete(generation);
    this.#refusedAtMs.delete(generation);
    this.#returns.delete(generation);
  }

  #welcome(seat: Seat): void {
    // The place may have had another replica, whose figures stand in its counters.
    this.#rhythms.set(seat.place.generation, { ...newRhythm, ...this.#trafficOf(seat) });
    this.#options.log.info({ replica: seat.upstream.id, ...seat.place }, 'Replica joined');
  }

  #conditionOf(seat: Seat): Condition {
    return this.#election.replicas.find(({ upstream }) => upstream.id === seat.upstream.id)?.condition ?? 'untried';
  }

  #seatOf(id: string): Seat | undefined {
    return this.#seats.find(({ upstream }) => upstream.id === id);
  }

  #trafficOf({ place }: Seat): { sends: number; replies: number } {
    let sends = 0;
    let replies = 0;
    for (const { counters } of this.#options.planes) {
      const traffic = counters.traffic(place.place);
      sends += traffic.sends;
      replies += traffic.replies;
    }
    return { sends, replies };
  }
}
