import { fleetLabel, sessionAnnotation, templateHashLabel } from '../shared/fleet-names.ts';
import { instant } from '../shared/interruption/interruption.ts';
import type { Occupancy } from '../shared/link/link-message.ts';
import type { GameSdk } from './agones/game-sdk.ts';
import type { FleetSession } from './fleet-session.ts';
import type { GameFiles } from './game/game-files.ts';
import type { Placeholders } from './game/placeholders.ts';
import type { GameStatus } from './game/status-file.ts';
import { endOf, exitStatusOf, type Life, statusOf } from './life/lifecycle.ts';
import type { LeasedPort } from './ports/port-lease.ts';
import type { Report } from './publishing/event-writer.ts';
import type { WrapperConfig } from './settings/config.ts';

/** All that is known of this game server at one moment. */
export interface Facts {
  readonly gameServerId: string;
  readonly config: WrapperConfig;
  readonly ports: readonly LeasedPort[];
  readonly life: Life;
  /** As the game reports it. */
  readonly status: GameStatus;
  /** Set where the game speaks Agones' SDK. */
  readonly sdk: GameSdk | undefined;
  /** undefined: unknown, or not known yet. */
  readonly address: string | undefined;
  readonly isLinked: boolean;
  /** An AWS warning that names no instant. */
  readonly risk: string | undefined;
  readonly files: Pick<GameFiles, 'deadlineFile' | 'stateFile' | 'sessionFile'> | undefined;
  readonly session: FleetSession;
}

/** The environment variables that the game gets in addition to the wrapper's own. */
export function gameEnvironment({ gameServerId, config, ports, sdk, address, files }: Facts): Record<string, string> {
  return {
    ...portNumbers(ports),
    ...sdk?.environment,
    SPOTABLE_GAME_SERVER_ID: gameServerId,
    ...(address === undefined ? {} : { SPOTABLE_ADDRESS: address }),
    ...(files === undefined
      ? {}
      : {
          SPOTABLE_DEADLINE_FILE: files.deadlineFile,
          SPOTABLE_STATE_FILE: files.stateFile,
          SPOTABLE_SESSION_FILE: files.sessionFile,
        }),
    ...(config.statusFile === undefined ? {} : { SPOTABLE_STATUS_FILE: config.statusFile }),
  };
}

/** The values of `{NAME}` in arguments, templates and actions. Actions may run when the end is already known. */
export function placeholders(facts: Facts, nowMs: number): Placeholders {
  const deadlineMs = endOf(facts.life)?.deadlineMs;
  if (deadlineMs === undefined) return gameEnvironment(facts);
  const secondsLeft = Math.max(0, Math.floor((deadlineMs - nowMs) / 1000));
  return { ...gameEnvironment(facts), DEADLINE: instant(deadlineMs), SECONDS_LEFT: String(secondsLeft) };
}

/** Whether the game has to start after its address is known. */
export function needsAddress(config: WrapperConfig, command: readonly string[]): boolean {
  const texts = [...command, ...config.properties.map(({ value }) => value)];
  return config.templates.length > 0 || texts.some((text) => text.includes('{SPOTABLE_ADDRESS}'));
}

/** An inventory event's content. */
export function reportOf(name: Report['name'], facts: Facts): Report {
  const { life } = facts;
  const end = endOf(life);
  return {
    name,
    status: statusOf(life),
    labels: labelsOf(facts),
    players: playersOf(facts),
    deadlineMs: end?.deadlineMs,
    reason: end?.reason,
    exitCode: life.phase === 'ended' ? exitStatusOf(life) : undefined,
  };
}

export function playersOf({ sdk, status }: Pick<Facts, 'sdk' | 'status'>): number | null {
  return sdk?.view.players ?? status.players;
}

/**
 * Whether anybody plays; undefined if that is unknown. A game's silence means idle only if the game reports allocation
 * at all, even if it reports false.
 */
export function occupancyOf({
  sdk,
  status,
  life,
  session,
}: Pick<Facts, 'status' | 'life' | 'session'> & { readonly sdk: Pick<GameSdk, 'view'> | undefined }):
  | Occupancy
  | undefined {
  const { isReady, isAllocated, players } = sdk?.view ?? {
    ...status,
    isReady: hasBeenReady(life),
    isAllocated: status.isAllocated ?? isAllocatedBy(session),
  };
  if (!isReady) return undefined;
  if (isAllocated === true || (players ?? 0) > 0) return 'occupied';
  return isAllocated === undefined ? undefined : 'idle';
}

/** undefined: no fleet gives the pod sessions. */
function isAllocatedBy({ pod, current }: FleetSession): boolean | undefined {
  return pod === undefined ? undefined : current !== undefined;
}

export function hasBeenReady(life: Life): boolean {
  return (life.phase === 'serving' || life.phase === 'ending') && life.isReady;
}

/** Inventory consumers use these labels to tell fleets, their versions and sessions apart. */
const fleetLabels = [fleetLabel, templateHashLabel];

function fleetLabelsOf({ pod, current }: FleetSession): Readonly<Record<string, string>> {
  const known = fleetLabels.flatMap((key) => (pod?.labels[key] === undefined ? [] : [[key, pod.labels[key]]]));
  return {
    ...Object.fromEntries(known),
    ...(current === undefined ? {} : { [sessionAnnotation]: current.slice(0, maxLabelChars) }),
  };
}

/** For each label value in an event. */
const maxLabelChars = 256;

function labelsOf({ config, status, sdk, life, risk, session }: Facts): Readonly<Record<string, string>> {
  const problem = life.phase === 'serving' ? life.problem : undefined;
  return {
    ...Object.fromEntries(config.labels),
    ...status.labels,
    ...sdk?.view.labels,
    ...fleetLabelsOf(session),
    ...(risk === undefined ? {} : { 'spotable.dev/at-risk': risk }),
    ...(problem === undefined ? {} : { 'spotable.dev/unhealthy': problem }),
  };
}

/** The content of SPOTABLE_STATE_FILE. */
export function stateDocument({ gameServerId, ports, life, address, isLinked, risk }: Facts): object {
  const end = endOf(life);
  return {
    game_server_id: gameServerId,
    state: statusOf(life),
    address: address ?? null,
    ports: Object.fromEntries(ports.map(({ name, port, protocol }) => [name, { port, protocol }])),
    link: isLinked ? 'linked' : 'none',
    at_risk: risk ?? null,
    deadline: end?.deadlineMs === undefined ? null : instant(end.deadlineMs),
    reason: end?.reason ?? null,
  };
}

function portNumbers(ports: readonly LeasedPort[]): Record<string, string> {
  return Object.fromEntries(ports.map(({ name, port }) => [name, String(port)]));
}
