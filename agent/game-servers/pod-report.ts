import {
  addressAnnotation,
  counterAnnotationPrefix,
  gameServerIdAnnotation,
  listAnnotationPrefix,
  playersAnnotation,
  portAnnotationPrefix,
  readyCondition,
  sessionOverAnnotation,
  sessionTakenAnnotation,
} from '../../shared/fleet-names.ts';
import { instant } from '../../shared/interruption/interruption.ts';
import type { HelloMessage, StateMessage } from '../../shared/link/link-message.ts';
import type { GameServerPod } from './game-server-pod.ts';

/** A verified wrapper's report on its game server. */
export interface GameServerReport {
  readonly hello: HelloMessage;
  /** undefined: only its hello has arrived. */
  readonly state: StateMessage | undefined;
}

const ownAnnotations = [
  addressAnnotation,
  gameServerIdAnnotation,
  playersAnnotation,
  sessionTakenAnnotation,
  sessionOverAnnotation,
];
const ownPrefixes = [portAnnotationPrefix, counterAnnotationPrefix, listAnnotationPrefix];

/**
 * The strategic merge patch that writes a game server's report to its pod's status; undefined: the pod already shows
 * it. `report` undefined: the wrapper is gone, and the game's state is unknown.
 */
export function reportPatch(
  pod: GameServerPod,
  report: GameServerReport | undefined,
  nowMs: number,
): object | undefined {
  const isSpent = report !== undefined && isSuccessor(pod, report.hello.game_server_id);
  const annotations = report === undefined || isSpent ? {} : differences(pod.annotations, annotationsOf(report));
  const { isReady, reason } = isSpent ? { isReady: false, reason: 'Spent' } : readinessOf(report);
  // Written even if nothing waits for the condition: people and other tools may read it.
  const isChanged = pod.ready !== (isReady ? 'True' : 'False') && (isReady || pod.ready !== undefined || pod.hasGate);
  if (!isChanged && Object.keys(annotations).length === 0) return undefined;
  const condition = {
    type: readyCondition,
    status: isReady ? 'True' : 'False',
    reason,
    lastTransitionTime: `${instant(nowMs).slice(0, 19)}Z`,
  };
  return {
    ...(Object.keys(annotations).length > 0 && { metadata: { annotations } }),
    ...(isChanged && { status: { conditions: [condition] } }),
  };
}

/** Whether the pod's session was taken by an earlier game server of it: a wrapper has a new id at each start. */
export function isSuccessor({ sessionId, annotations }: GameServerPod, gameServerId: string): boolean {
  if (sessionId === undefined || annotations[sessionTakenAnnotation] !== sessionId) return false;
  const before = annotations[gameServerIdAnnotation];
  return before !== undefined && before !== gameServerId;
}

function readinessOf(report: GameServerReport | undefined): { readonly isReady: boolean; readonly reason: string } {
  if (report === undefined) return { isReady: false, reason: 'WrapperLost' };
  switch (report.state?.state) {
    case 'ready':
    case 'allocated':
      return { isReady: true, reason: 'GameReady' };
    case 'terminating':
    case 'terminated':
    case 'lost':
      return { isReady: false, reason: 'GameEnding' };
    case 'starting':
    case undefined:
      return { isReady: false, reason: 'GameStarting' };
  }
}

function annotationsOf({ hello, state }: GameServerReport): Readonly<Record<string, string>> {
  const { address, players, counters = {}, lists = {}, session_taken: taken, session_over: over } = state ?? {};
  return {
    [gameServerIdAnnotation]: hello.game_server_id,
    ...(address !== undefined && { [addressAnnotation]: address }),
    ...(players !== undefined && { [playersAnnotation]: String(players) }),
    ...(taken !== undefined && { [sessionTakenAnnotation]: taken }),
    ...(over !== undefined && { [sessionOverAnnotation]: over }),
    ...prefixed(portAnnotationPrefix, hello.ports, ({ port, protocol }) => `${port}/${protocol}`),
    ...prefixed(counterAnnotationPrefix, counters, (text) => text),
    ...prefixed(listAnnotationPrefix, lists, (list) => JSON.stringify(list)),
  };
}

function prefixed<T>(
  prefix: string,
  values: Readonly<Record<string, T>>,
  text: (value: T) => string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}${name}`, text(value)]));
}

/** Our values that differ; null removes one that is no longer reported. */
function differences(
  before: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): Readonly<Record<string, string | null>> {
  const changes: Record<string, string | null> = {};
  for (const [key, value] of Object.entries(wanted)) if (before[key] !== value) changes[key] = value;
  for (const key of Object.keys(before)) if (isOurs(key) && !(key in wanted)) changes[key] = null;
  return changes;
}

export function isOurs(key: string): boolean {
  return ownAnnotations.includes(key) || ownPrefixes.some((prefix) => key.startsWith(prefix));
}
