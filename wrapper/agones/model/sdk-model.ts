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
  /** The end cannot be cancelled. */
  readonly isCertain: boolean;
}

export interface HealthRules {
  /** A Health() is expected at least once in this period. undefined: health is not checked. */
  readonly periodMs: number | undefined;
  /** The game is unhealthy after this many periods without one. */
  readonly threshold: number;
  /** Time before the first period begins. */
  readonly delayMs: number;
}

/** The SDK server's knowledge of its game: immutable data, replaced at every change. */
export interface SdkModel {
  /** Increases by one with every change. */
  readonly version: number;
  readonly state: SdkState;
  readonly isUnhealthy: boolean;
  /** Time of the last Health(), or the end of the initial delay if that is later. Epoch milliseconds. */
  readonly healthyAtMs: number;
  readonly reservedUntilMs: number | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly counters: ReadonlyMap<string, Counter>;
  readonly lists: ReadonlyMap<string, List>;
  /** undefined: the game has not tracked players. */
  readonly players: Players | undefined;
  readonly end: AnnouncedEnd | undefined;
  /** An AWS warning that names no instant. */
  readonly risk: string | undefined;
  /** The pod's metadata, if a fleet gives it sessions. */
  readonly pod: PodMetadata | undefined;
}

export interface SdkSeed {
  readonly counters: readonly (readonly [name: string, counter: Counter])[];
  readonly lists: readonly (readonly [name: string, list: List])[];
}

/** The model of a game server that has just been created. */
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

/** Applies changes that watchers have to see. */
export function changed(model: SdkModel, changes: Partial<SdkModel>): SdkModel {
  return { ...model, ...changes, version: model.version + 1 };
}

/** Does what is due: ends a reservation, counts missed Health() calls. Returns the same model if nothing is due. */
export function passTime(model: SdkModel, rules: HealthRules, nowMs: number): SdkModel {
  const { state, reservedUntilMs, isUnhealthy } = model;
  const isReservationOver = state === 'Reserved' && reservedUntilMs !== undefined && nowMs >= reservedUntilMs;
  const next = isReservationOver ? changed(model, { state: 'Ready', reservedUntilMs: undefined }) : model;
  const limitMs = healthLimitMs(model, rules);
  if (isUnhealthy || limitMs === undefined || nowMs < limitMs) return next;
  return changed(next, { isUnhealthy: true });
}

/** When {@link passTime} has to run next, in epoch milliseconds; undefined: only after another change. */
export function nextMoveMs(model: SdkModel, rules: HealthRules): number | undefined {
  const reservedUntilMs = model.state === 'Reserved' ? model.reservedUntilMs : undefined;
  const limitMs = model.isUnhealthy ? undefined : healthLimitMs(model, rules);
  const moments = [reservedUntilMs, limitMs].filter((moment) => moment !== undefined);
  return moments.length === 0 ? undefined : Math.min(...moments);
}

function healthLimitMs({ healthyAtMs, state }: SdkModel, { periodMs, threshold }: HealthRules): number | undefined {
  // A game that has called Shutdown() need not report its health.
  return periodMs === undefined || state === 'Shutdown' ? undefined : healthyAtMs + periodMs * threshold;
}

/** Announces, moves or cancels the end. Returns the same model if nothing changes. */
export function announceEnd(model: SdkModel, end: AnnouncedEnd | undefined, risk: string | undefined): SdkModel {
  const isSame =
    model.risk === risk &&
    model.end?.kind === end?.kind &&
    model.end?.deadlineMs === end?.deadlineMs &&
    model.end?.isCertain === end?.isCertain;
  return isSame ? model : changed(model, { end, risk });
}

/**
 * Applies the fleet's session: a session allocates the game server, whatever its state, and its withdrawal makes it
 * ready again. Returns the same model if nothing changes.
 */
export function joinFleet(model: SdkModel, { pod, current }: FleetSession, before: FleetSession): SdkModel {
  const begins = current !== undefined && current !== before.current && model.state !== 'Shutdown';
  const ends = current === undefined && before.current !== undefined && model.state === 'Allocated';
  const state = begins ? 'Allocated' : ends ? 'Ready' : model.state;
  if (state === model.state && isDeepStrictEqual(pod, model.pod)) return model;
  return changed(model, { pod, state, ...(state !== model.state && { reservedUntilMs: undefined }) });
}
