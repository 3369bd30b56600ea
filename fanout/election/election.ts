import { isSameReplica, type Upstream } from './upstream.ts';

/**
 * Elects the primary: the one replica whose replies reach the players. The whole session group has a single primary,
 * because all players of a match must see the same world.
 *
 * Condition of a replica, derived from its traffic:
 *
 *   untried ──reply──▶ alive ◀──reply── silent, refused
 *                        │ no reply in time ──▶ silent
 *                        └ connection refused ─▶ refused ── no more refusals ──▶ untried
 *
 * The health probe is separate and overrides the condition. The primary stays until it is no longer acceptable and a
 * better replica exists, so a replica that recovers becomes a spare.
 */
export type Condition = 'untried' | 'alive' | 'silent' | 'refused';

export interface Replica {
  readonly upstream: Upstream;
  readonly condition: Condition;
  /** When the replica joined or its condition last changed. */
  readonly sinceMs: number;
  /** The last result of the health probe; true without a probe. */
  readonly isHealthy: boolean;
}

export interface Election {
  /** In the order in which they joined. */
  readonly replicas: readonly Replica[];
  readonly primaryId: string | undefined;
}

export const emptyElection: Election = { replicas: [], primaryId: undefined };

export interface ElectionRules {
  /** Only a replica that reports itself in sync may become primary. */
  readonly requiresSync: boolean;
  /** How long before its deadline a terminating primary is replaced; undefined: at once. */
  readonly leaveBeforeDeadlineMs: number | undefined;
}

export type ElectionInput =
  | { readonly kind: 'upstreams'; readonly upstreams: readonly Upstream[] }
  | { readonly kind: 'condition'; readonly id: string; readonly condition: Condition }
  | { readonly kind: 'health'; readonly id: string; readonly isHealthy: boolean }
  | { readonly kind: 'tick' };

export type ChangeReason =
  | 'first'
  | 'terminating'
  | 'silent'
  | 'refused'
  | 'unhealthy'
  | 'gone'
  | 'not-ready'
  | 'none-ready';

export interface PrimaryChange {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly reason: ChangeReason;
  /** Whether the old primary still replies, so that its outstanding replies are worth waiting for. */
  readonly isPlanned: boolean;
}

export interface Elected {
  readonly election: Election;
  readonly change: PrimaryChange | undefined;
}

/**
 * Applies one input and elects the primary. Pure: `nowMs` (epoch milliseconds) is used only for ordering and deadlines.
 */
export function elect(election: Election, input: ElectionInput, nowMs: number, rules: ElectionRules): Elected {
  const replicas = applyInput(election.replicas, input, nowMs);
  const before = election.replicas.find(({ upstream }) => upstream.id === election.primaryId);
  const current = replicas.find(({ upstream }) => upstream.id === election.primaryId);
  const currentRank = current === undefined ? ineligible : rank(current, nowMs, rules);
  const best = bestOf(replicas, nowMs, rules);
  // An unacceptable primary stays if nothing better exists: players are better served by its replies than by none.
  const stays = current !== undefined && (currentRank <= acceptable || best.rank >= currentRank);
  const primaryId = stays ? election.primaryId : best.replica?.upstream.id;
  const next: Election = { replicas, primaryId };
  if (primaryId === election.primaryId) return { election: next, change: undefined };
  const reason = reasonOf(before, current, primaryId, rules);
  const isPlanned = current?.isHealthy === true && current.condition === 'alive';
  return { election: next, change: { from: election.primaryId, to: primaryId, reason, isPlanned } };
}

/** Lower ranks are better. A primary of rank `acceptable` or lower stays; an `ineligible` replica is never elected. */
const acceptable = 1;
const ineligible = 9;

function rank({ upstream, condition, isHealthy }: Replica, nowMs: number, rules: ElectionRules): number {
  if (upstream.readiness === 'starting') return ineligible;
  if (rules.requiresSync && upstream.isInSync !== true) return ineligible;
  if (condition === 'refused') return 5;
  if (!isHealthy) return 4;
  if (condition === 'silent') return 3;
  if (isLeaving(upstream, nowMs, rules)) return 2;
  return condition === 'alive' ? 0 : acceptable;
}

function isLeaving({ readiness, deadlineMs }: Upstream, nowMs: number, rules: ElectionRules): boolean {
  if (readiness !== 'terminating') return false;
  if (rules.leaveBeforeDeadlineMs === undefined || deadlineMs === undefined) return true;
  return nowMs >= deadlineMs - rules.leaveBeforeDeadlineMs;
}

/**
 * Ties go to the replica with the latest deadline, then to the one whose condition is the oldest: it is the most
 * stable.
 */
function bestOf(
  replicas: readonly Replica[],
  nowMs: number,
  rules: ElectionRules,
): { replica?: Replica; rank: number } {
  let best: Replica | undefined;
  let bestRank = ineligible;
  for (const replica of replicas) {
    const candidate = rank(replica, nowMs, rules);
    const isBetter = candidate < bestRank || (candidate === bestRank && best !== undefined && isBefore(replica, best));
    if (candidate < ineligible && isBetter) [best, bestRank] = [replica, candidate];
  }
  return best === undefined ? { rank: ineligible } : { replica: best, rank: bestRank };
}

function isBefore(one: Replica, other: Replica): boolean {
  const lasts = ({ upstream }: Replica) =>
    upstream.readiness === 'terminating' ? (upstream.deadlineMs ?? 0) : Number.POSITIVE_INFINITY;
  return lasts(one) === lasts(other) ? one.sinceMs < other.sinceMs : lasts(one) > lasts(other);
}

function reasonOf(
  before: Replica | undefined,
  current: Replica | undefined,
  to: string | undefined,
  rules: ElectionRules,
): ChangeReason {
  if (before === undefined) return 'first';
  if (current === undefined) return to === undefined ? 'none-ready' : 'gone';
  const { upstream, condition, isHealthy } = current;
  if (upstream.readiness === 'starting' || (rules.requiresSync && upstream.isInSync !== true)) return 'not-ready';
  if (condition === 'refused') return 'refused';
  if (!isHealthy) return 'unhealthy';
  return condition === 'silent' ? 'silent' : 'terminating';
}

function applyInput(replicas: readonly Replica[], input: ElectionInput, nowMs: number): readonly Replica[] {
  switch (input.kind) {
    case 'upstreams':
      return mergeUpstreams(replicas, input.upstreams, nowMs);
    case 'condition':
      return update(replicas, input.id, { condition: input.condition, sinceMs: nowMs });
    case 'health':
      return update(replicas, input.id, { isHealthy: input.isHealthy });
    case 'tick':
      return replicas;
  }
}

function update(replicas: readonly Replica[], id: string, change: Partial<Replica>): readonly Replica[] {
  return replicas.map((replica) => (replica.upstream.id === id ? { ...replica, ...change } : replica));
}

/** A replica with a new address counts as a new replica: nothing learned about the old address applies to it. */
function mergeUpstreams(
  replicas: readonly Replica[],
  upstreams: readonly Upstream[],
  nowMs: number,
): readonly Replica[] {
  const wanted = new Map(upstreams.map((upstream) => [upstream.id, upstream]));
  const merged: Replica[] = [];
  for (const replica of replicas) {
    const upstream = wanted.get(replica.upstream.id);
    if (upstream === undefined || !isSameReplica(upstream, replica.upstream)) continue;
    wanted.delete(upstream.id);
    merged.push({ ...replica, upstream });
  }
  for (const upstream of wanted.values())
    merged.push({ upstream, sinceMs: nowMs, condition: 'untried', isHealthy: true });
  return merged;
}
