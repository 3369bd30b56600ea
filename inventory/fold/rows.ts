import type {
  GameServerData,
  GameServerEvent,
  GameServerState,
  NodeData,
  NodeEvent,
} from '../../shared/events/event.ts';
import type { Heard } from './game-server-record.ts';
import { isSameJson } from './same-json.ts';

/**
 * A game server as the table shows it: the fields of the contract, with its node's and its lease's influence on
 * `status`, `deadline` and `reason`.
 */
export interface GameServerRow extends GameServerData {
  /** The status in the game server's own newest event. */
  readonly own_status: GameServerState;
  readonly node_status: NodeData['status'] | null;
  /** By the sender's clock. */
  readonly last_event_at: string;
  /** When the queue took that event, by the queue's clock. */
  readonly heard_at: string;
}

export interface NodeRow extends NodeData {
  /** The instance, or `node/NAME` if it is unknown. */
  readonly key: string;
  readonly last_event_at: string;
  readonly heard_at: string;
}

/**
 * If a game server still sends events this long after its deadline, the interruption came to nothing. AWS may be
 * minutes late.
 */
const outlivedMs = 10 * 60_000;

/** Whether the node's interruption covers the game server that sent this event. Both times are by the node's clock. */
function isTakenAway(truth: GameServerEvent, node: NodeEvent | undefined): node is NodeEvent {
  if (node?.data.status !== 'interrupted' && node?.data.status !== 'drained') return false;
  const { deadline } = node.data;
  return deadline === null || Date.parse(truth.time) < Date.parse(deadline) + outlivedMs;
}

export function gameServerRow(
  { event, heardMs }: Heard<GameServerEvent>,
  node: NodeEvent | undefined,
  isExpired: boolean,
): GameServerRow {
  const { data, time } = event;
  const row = {
    ...data,
    own_status: data.status,
    node_status: node?.data.status ?? null,
    last_event_at: time,
    heard_at: new Date(heardMs).toISOString(),
  };
  if (isEnded(data.status)) return row;
  const goes = isTakenAway(event, node) ? { ...row, ...takenAway(data, node.data) } : row;
  return isExpired ? { ...goes, status: 'lost', reason: goes.reason ?? 'lease-expired' } : goes;
}

function takenAway(data: GameServerData, { deadline, kind }: NodeData): Partial<GameServerData> {
  return { status: 'terminating', deadline: earlier(data.deadline, deadline), reason: data.reason ?? kind };
}

export function isEnded(state: GameServerState): boolean {
  return state === 'terminated' || state === 'lost';
}

function earlier(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return Date.parse(one) <= Date.parse(other) ? one : other;
}

export function nodeRow(key: string, { event, heardMs }: Heard<NodeEvent>): NodeRow {
  return { ...event.data, key, last_event_at: event.time, heard_at: new Date(heardMs).toISOString() };
}

const renewed: ReadonlySet<string> = new Set(['sequence', 'lease_expires_at', 'last_event_at', 'heard_at']);

/** Whether two rows look the same, apart from the fields that each heartbeat renews. */
export function isSameToSee<Row extends object>(one: Row, other: Row): boolean {
  for (const field in one) {
    const a = one[field];
    const b = other[field];
    // The cheapest comparison first: it decides nearly every field.
    if (a !== b && !renewed.has(field) && !isSameJson(a, b)) return false;
  }
  return true;
}
