import { isDeepStrictEqual } from 'node:util';
import type { FleetSession, PodMetadata } from '../../fleet-session.ts';

/*
 *              Ready()                    Reserve(d)
 *  Scheduled ───────────▶ Ready ◀───────────────────────▶ Reserved
 *      │                   │ ▲         d has passed           │
 *      │       Allocate()  ▼ │ Ready()                        │
 *      └──────────────▶ Allocated ◀───────────────────────────┘
 *
 * Every one of the four states may become any other by the game's own word. Shutdown() is final. Missed Health() shows
 * as Unhealthy over whatever the state is, and goes when the game speaks again: unlike in Agones nobody has deleted it
 * meanwhile.
 */
export type SdkState = 'Scheduled' | 'Ready' | 'Reserved' | 'Allocated' | 'Shutdown';

export interface Counter {
  readonly count: bigint;
  readonly capacity: bigint;
}

export interface List {
  readonly values: readonly string[];
  readonly capacity: bigint;
}

export interface Players {
  readonly ids: ReadonlySet<string>;
  readonly capacity: bigint;
}

/** The end of the game server, as far as it is known. */
export interface AnnouncedEnd {
  readonly kind: string;
  readonly deadlineMs: number;
  /** Nobody will take it back. */
  readonly isCertain: boolean;
}

export interface HealthRules {
  /** A Health() is expected at least so often. undefined: nobody counts. */
  readonly periodMs: number | undefined;
  /** Unhealthy after so many periods without one. */
  readonly threshold: number;
  /** Before the first period begins. */
  readonly delayMs: number;
}

/** All that the SDK server knows of its game: data without behaviour, replaced at every change. */
export interface SdkModel {
  /** Counts the changes. */
  readonly version: number;
  readonly state: SdkState;
  readonly isUnhealthy: boolean;
  /** As of the last Health(), or as if one came at the end of the initial delay. Epoch milliseconds. */
  readonly healthyAtMs: number;
  readonly reservedUntilMs: number | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly counters: ReadonlyMap<string, Counter>;
  readonly lists: ReadonlyMap<string, List>;
  /** undefined: the game has not tracked players. */
  readonly players: Players | undefined;
  readonly end: AnnouncedEnd | undefined;
  /** What AWS warns of without naming an instant. */
  readonly risk: string | undefined;
  /** What the pod bears, where a fleet gives it sessions. */
  readonly pod: PodMetadata | undefined;
}

export interface SdkSeed {
  readonly counters: readonly (readonly [name: string, counter: Counter])[];
  readonly lists: readonly (readonly [name: string, list: List])[];
}

/** A game server that has just been created. */
export function newSdkModel(seed: SdkSeed, { delayMs }: HealthRules, nowMs: number): SdkModel {
  return {
    version: 1,
    state: 'Scheduled',
    isUnhealthy: false,
    healthyAtMs: nowMs + delayMs,
    reservedUntilMs: undefined,
    labels: new Map(),
    annotations: new Map(),
    counters: new Map(seed.counters),
    lists: new Map(seed.lists),
    players: undefined,
    end: undefined,
    risk: undefined,
    pod: undefined,
  };
}

/** What a watcher is to see has changed. */
export function changed(model: SdkModel, changes: Partial<SdkModel>): SdkModel {
  return { ...model, ...changes, version: model.version + 1 };
}

/** Does what is due: ends a reservation, counts missed Health(). The same model where nothing is. */
export function passTime(model: SdkModel, rules: HealthRules, nowMs: number): SdkModel {
  const { state, reservedUntilMs, isUnhealthy } = model;
  const isReservationOver = state === 'Reserved' && reservedUntilMs !== undefined && nowMs >= reservedUntilMs;
  const next = isReservationOver ? changed(model, { state: 'Ready', reservedUntilMs: undefined }) : model;
  const limitMs = healthLimitMs(model, rules);
  if (isUnhealthy || limitMs === undefined || nowMs < limitMs) return next;
  return changed(next, { isUnhealthy: true });
}

/** When {@link passTime} has something to do next: epoch milliseconds; undefined: not before something else happens. */
export function nextMoveMs(model: SdkModel, rules: HealthRules): number | undefined {
  const reservedUntilMs = model.state === 'Reserved' ? model.reservedUntilMs : undefined;
  const limitMs = model.isUnhealthy ? undefined : healthLimitMs(model, rules);
  const moments = [reservedUntilMs, limitMs].filter((moment) => moment !== undefined);
  return moments.length === 0 ? undefined : Math.min(...moments);
}

function healthLimitMs({ healthyAtMs, state }: SdkModel, { periodMs, threshold }: HealthRules): number | undefined {
  // A game that has said goodbye need not say that it is well.
  return periodMs === undefined || state === 'Shutdown' ? undefined : healthyAtMs + periodMs * threshold;
}

/** Announces, moves or takes back the end. The same model where it stands like that already. */
export function announceEnd(model: SdkModel, end: AnnouncedEnd | undefined, risk: string | undefined): SdkModel {
  const isSame =
    model.risk === risk &&
    model.end?.kind === end?.kind &&
    model.end?.deadlineMs === end?.deadlineMs &&
    model.end?.isCertain === end?.isCertain;
  return isSame ? model : changed(model, { end, risk });
}

/**
 * What the fleet says: a session allocates the game server, whatever its state, and its withdrawal makes it ready
 * again. The same model where it stands like that already.
 */
export function joinFleet(model: SdkModel, { pod, current }: FleetSession, before: FleetSession): SdkModel {
  const begins = current !== undefined && current !== before.current && model.state !== 'Shutdown';
  const ends = current === undefined && before.current !== undefined && model.state === 'Allocated';
  const state = begins ? 'Allocated' : ends ? 'Ready' : model.state;
  if (state === model.state && isDeepStrictEqual(pod, model.pod)) return model;
  return changed(model, { pod, state, ...(state !== model.state && { reservedUntilMs: undefined }) });
}
