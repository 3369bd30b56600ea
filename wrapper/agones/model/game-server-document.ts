import { instant } from '../../../shared/interruption/interruption.ts';
import type { HealthRules, SdkModel } from './sdk-model.ts';

/** Facts about the game server that the game can read and cannot change. */
export interface GameServerIdentity {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly health: HealthRules;
}

/** The agent uses the same names on pods. */
export const deadlineAnnotation = 'spotable.dev/deadline';
export const kindAnnotation = 'spotable.dev/interruption-kind';
export const riskAnnotation = 'spotable.dev/at-risk';

/** The state as a game sees it. */
export function shownState({ state, isUnhealthy }: SdkModel): string {
  return isUnhealthy && state !== 'Shutdown' ? 'Unhealthy' : state;
}

/**
 * The GameServer message in the protocol's JSON form: names as in its definition, int64 as text, int32 as number, every
 * field present. gRPC encodes the same object.
 */
export function gameServerDocument(
  model: SdkModel,
  { name, namespace, uid, createdAtMs, labels, ports, health }: GameServerIdentity,
  address: string | undefined,
): object {
  return {
    object_meta: {
      name,
      namespace,
      uid,
      resource_version: String(model.version),
      generation: String(model.version),
      creation_timestamp: epochSeconds(createdAtMs),
      deletion_timestamp: model.end?.isCertain === true ? epochSeconds(model.end.deadlineMs) : '0',
      annotations: {
        ...model.pod?.annotations,
        ...Object.fromEntries(model.annotations),
        ...endAnnotations(model),
      },
      labels: { ...labels, ...model.pod?.labels, ...Object.fromEntries(model.labels) },
    },
    spec: {
      health: {
        disabled: health.periodMs === undefined,
        period_seconds: Math.ceil((health.periodMs ?? 0) / 1000),
        failure_threshold: health.threshold,
        initial_delay_seconds: Math.ceil(health.delayMs / 1000),
      },
    },
    status: {
      state: shownState(model),
      address: address ?? '',
      addresses: address === undefined ? [] : [{ type: addressType(address), address }],
      ports: ports.map((port) => ({ name: port.name, port: port.port })),
      players: playerStatus(model),
      counters: counterStatuses(model),
      lists: listStatuses(model),
    },
  };
}

function endAnnotations({ end, risk }: SdkModel): Record<string, string> {
  return {
    ...(end === undefined ? {} : { [deadlineAnnotation]: instant(end.deadlineMs), [kindAnnotation]: end.kind }),
    ...(risk === undefined ? {} : { [riskAnnotation]: risk }),
  };
}

function playerStatus({ players }: SdkModel): object | null {
  if (players === undefined) return null;
  return { count: String(players.ids.size), capacity: String(players.capacity), ids: [...players.ids] };
}

function counterStatuses({ counters }: SdkModel): object {
  return Object.fromEntries(
    [...counters].map(([name, { count, capacity }]) => [name, { count: String(count), capacity: String(capacity) }]),
  );
}

function listStatuses({ lists }: SdkModel): object {
  return Object.fromEntries(
    [...lists].map(([name, { capacity, values }]) => [name, { capacity: String(capacity), values }]),
  );
}

/** Kubernetes' name for the type of a node's address. */
function addressType(address: string): 'ExternalIP' | 'ExternalDNS' {
  return /^[\d.]+$|:/.test(address) ? 'ExternalIP' : 'ExternalDNS';
}

function epochSeconds(ms: number): string {
  return String(Math.floor(ms / 1000));
}
