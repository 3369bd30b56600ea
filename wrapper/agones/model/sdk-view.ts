import type { StateMessage } from '../../../shared/link/link-message.ts';
import type { LifeEvent } from '../../life/lifecycle.ts';
import type { HealthRules, SdkModel } from './sdk-model.ts';

/** The SDK model as the rest of the wrapper sees it. */
export interface SdkView {
  /** The game has called Ready(), or is in a later state. */
  readonly isReady: boolean;
  /** Allocated or reserved: nobody may take it. */
  readonly isAllocated: boolean;
  readonly hasShutDown: boolean;
  /** The problem that missing Health() calls are reported as; undefined: none. */
  readonly problem: string | undefined;
  readonly players: number | null;
  readonly labels: Readonly<Record<string, string>>;
}

/** One game server sends at most this many labels with each event, out of the 64 that an event can hold. */
const maxLabels = 24;
/** The largest number of players that an event can hold. */
const maxPlayers = 1_000_000n;

/**
 * Most games exit right after Shutdown(), as Agones' own clients do. Agones sends SIGTERM with the pod's deletion,
 * about a second later; an earlier one would make the signal their exit status.
 */
const maxOwnExitMs = 1000;

export function viewOf(model: SdkModel, { periodMs, threshold }: HealthRules): SdkView {
  const { state } = model;
  return {
    isReady: state === 'Ready' || state === 'Allocated' || state === 'Reserved',
    isAllocated: state === 'Allocated' || state === 'Reserved',
    hasShutDown: state === 'Shutdown',
    problem: model.isUnhealthy ? `no Health() for ${((periodMs ?? 0) * threshold) / 1000} s` : undefined,
    players: playersOf(model),
    labels: Object.fromEntries(
      [
        ...(state === 'Reserved' ? [['agones.dev/state', state] as const] : []),
        ...[...model.counters].map(
          ([name, { count, capacity }]) => [`counters.agones.dev/${name}`, `${count}_${capacity}`] as const,
        ),
        ...[...model.lists].map(
          ([name, { values, capacity }]) => [`lists.agones.dev/${name}`, `${values.length}_${capacity}`] as const,
        ),
        ...model.labels,
      ].slice(0, maxLabels),
    ),
  };
}

/** Fleets choose game servers by these. */
export type Counts = Pick<StateMessage, 'counters' | 'lists'>;

/** Limit for one list as JSON: lists share a pod's annotations. */
const maxListChars = 4096;

export function countsOf({ counters, lists }: SdkModel): Counts {
  const fitting = [...lists].filter(([, { values }]) => JSON.stringify(values).length <= maxListChars);
  return {
    ...(counters.size > 0 && {
      counters: Object.fromEntries([...counters].map(([name, one]) => [name, `${one.count}/${one.capacity}`])),
    }),
    ...(fitting.length > 0 && {
      lists: Object.fromEntries(
        fitting.map(([name, { capacity, values }]) => [name, { capacity: Number(capacity), values }]),
      ),
    }),
  };
}

/** Tracked players, or else the game's counter or list of that name. */
function playersOf({ players, counters, lists }: SdkModel): number | null {
  if (players !== undefined) return players.ids.size;
  const list = lists.get('players');
  if (list !== undefined) return list.values.length;
  const count = counters.get('players')?.count;
  return count === undefined || count > maxPlayers ? null : Number(count);
}

export interface ViewRules {
  /** `--ready sdk`: the game's Ready() call makes it ready. */
  readonly decidesReady: boolean;
  readonly gracePeriodMs: number;
  /** How long before its end the game is told to stop. */
  readonly stopLeadMs: number | undefined;
}

/**
 * The life events that follow from the change between two views. Only {@link SdkView.problem} reports missing Health()
 * calls.
 */
export function lifeEventsBetween(
  before: SdkView,
  view: SdkView,
  rules: ViewRules,
  nowMs: number,
): readonly LifeEvent[] {
  const lifeEvents: LifeEvent[] = [];
  if (rules.decidesReady && view.isReady && !before.isReady) lifeEvents.push({ kind: 'game-ready' });
  // Do not report a game that has shut down as ready: it could get a session in its last moment.
  if (view.isAllocated !== before.isAllocated && !view.hasShutDown)
    lifeEvents.push({ kind: 'allocation', isAllocated: view.isAllocated });
  if (view.hasShutDown && !before.hasShutDown) {
    // The game itself has called Shutdown(): there is no match to finish.
    const graceMs = Math.min(rules.gracePeriodMs, rules.stopLeadMs ?? Number.POSITIVE_INFINITY);
    const notToldBeforeMs = nowMs + Math.min(maxOwnExitMs, graceMs / 4);
    const cause = { id: 'shutdown', via: 'wrapper', reason: 'shutdown', deadlineMs: undefined } as const;
    lifeEvents.push({ kind: 'end-announced', cause: { ...cause, endByMs: nowMs + graceMs, notToldBeforeMs } });
  }
  return lifeEvents;
}

/** Whether the inventory should get this change before the next heartbeat. */
export function isNews(before: SdkView, view: SdkView): boolean {
  return before.players !== view.players || JSON.stringify(before.labels) !== JSON.stringify(view.labels);
}
