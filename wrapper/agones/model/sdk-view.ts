import type { StateMessage } from '../../../shared/link/link-message.ts';
import type { LifeEvent } from '../../life/lifecycle.ts';
import type { HealthRules, SdkModel } from './sdk-model.ts';

/** What the rest of the wrapper knows of a game that speaks the SDK. */
export interface SdkView {
  /** It has said Ready(), or gone further. */
  readonly isReady: boolean;
  /** Allocated, or reserved: in either case nobody may take it. */
  readonly isAllocated: boolean;
  readonly hasShutDown: boolean;
  /** What its missing Health() is to be called; undefined: all is well. */
  readonly problem: string | undefined;
  readonly players: number | null;
  readonly labels: Readonly<Record<string, string>>;
}

/** Labels of one game server that go out with each of its events, of 64 that an event takes. */
const maxLabels = 24;
/** What an event takes as a number of players. */
const maxPlayers = 1_000_000n;

/**
 * Most games exit right after Shutdown(), as Agones' own clients do. There the SIGTERM comes with the pod's deletion,
 * about a second later; one that comes sooner would give them a signal as their exit status.
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

/** What a fleet chooses game servers by. */
export type Counts = Pick<StateMessage, 'counters' | 'lists'>;

/** Of one list, as JSON: they stand in annotations beside each other. */
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

/** Tracked players; else what a game counts or lists under that name. */
function playersOf({ players, counters, lists }: SdkModel): number | null {
  if (players !== undefined) return players.ids.size;
  const list = lists.get('players');
  if (list !== undefined) return list.values.length;
  const count = counters.get('players')?.count;
  return count === undefined || count > maxPlayers ? null : Number(count);
}

export interface ViewRules {
  /** `--ready sdk`: the game's own word makes it ready. */
  readonly decidesReady: boolean;
  readonly gracePeriodMs: number;
  /** Told to stop so long before its end. */
  readonly stopLeadMs: number | undefined;
}

/**
 * What has happened to the game server between two views. Missing Health() is told by {@link SdkView.problem} alone.
 */
export function happeningsBetween(
  before: SdkView,
  view: SdkView,
  rules: ViewRules,
  nowMs: number,
): readonly LifeEvent[] {
  const lifeEvents: LifeEvent[] = [];
  if (rules.decidesReady && view.isReady && !before.isReady) lifeEvents.push({ kind: 'game-ready' });
  // One that has shut down is free in no sense: as ready it would be given away in its last moment.
  if (view.isAllocated !== before.isAllocated && !view.hasShutDown)
    lifeEvents.push({ kind: 'allocation', isAllocated: view.isAllocated });
  if (view.hasShutDown && !before.hasShutDown) {
    // The game has finished by its own word: there is no match to play on.
    const graceMs = Math.min(rules.gracePeriodMs, rules.stopLeadMs ?? Number.POSITIVE_INFINITY);
    const notToldBeforeMs = nowMs + Math.min(maxOwnExitMs, graceMs / 4);
    const cause = { id: 'shutdown', via: 'wrapper', reason: 'shutdown', deadlineMs: undefined } as const;
    lifeEvents.push({ kind: 'end-announced', cause: { ...cause, endByMs: nowMs + graceMs, notToldBeforeMs } });
  }
  return lifeEvents;
}

/** Whether consumers of the inventory should hear before the next heartbeat. */
export function isNews(before: SdkView, view: SdkView): boolean {
  return before.players !== view.players || JSON.stringify(before.labels) !== JSON.stringify(view.labels);
}
