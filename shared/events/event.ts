import { type InterruptionKind, instant } from '../interruption/interruption.ts';

/** What a game server can be, as the inventory sees it. */
export const gameServerStates = ['starting', 'ready', 'allocated', 'terminating', 'terminated', 'lost'] as const;
export type GameServerState = (typeof gameServerStates)[number];

export const nodeStates = ['at-risk', 'interrupted', 'recovered', 'drained'] as const;
export type NodeState = (typeof nodeStates)[number];

export type GameServerEventType = `dev.spotable.gameserver.${GameServerState | 'heartbeat'}.v1`;
export type NodeEventType = `dev.spotable.node.${NodeState}.v1`;

export type PortProtocol = 'udp' | 'tcp' | 'udp+tcp';

export interface PublishedPort {
  readonly port: number;
  readonly protocol: PortProtocol;
}

/** Where a game server or a node lives. null: not known. */
export interface PlacementData {
  readonly region: string | null;
  readonly zone: string | null;
  readonly node: string | null;
  readonly instance_id: string | null;
  readonly instance_type: string | null;
  /** `spot` or `on-demand`. */
  readonly lifecycle: string | null;
}

/**
 * Every event of a game server carries all that is known of it, so a consumer that sees only the newest one has the truth.
 * The first five names and their meaning are the seed's.
 */
export interface GameServerData extends PlacementData {
  /** What players connect to: a DNS name, or an address where there is none. */
  readonly public_hostname: string | null;
  /** The first port, the one players connect to. */
  readonly public_port: number | null;
  readonly status: GameServerState;
  /** What kind of game server this is, as the studio calls it; `game-server` unless it says otherwise. */
  readonly type: string;
  readonly game_server_id: string;
  /** Counts the events of this game server from 1: the highest one seen is the truth. */
  readonly sequence: number;
  /** Without another event by then (RFC 3339), the game server is lost. null: it has ended and needs no lease. */
  readonly lease_expires_at: string | null;
  readonly public_ip: string | null;
  readonly ports: Readonly<Record<string, PublishedPort>>;
  readonly pod: string | null;
  readonly namespace: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** How many players are on it. */
  readonly players: number | null;
  /** When it will be gone at the latest (RFC 3339), once that is known. */
  readonly deadline: string | null;
  /** Why it goes: an interruption kind, `sigterm`, `game-exited`, ... null while it does not. */
  readonly reason: string | null;
  /** The game's exit status, 128+n after signal n. null until it has ended. */
  readonly exit_code: number | null;
}

export interface NodeData extends PlacementData {
  readonly status: NodeState;
  readonly interruption_id: string;
  readonly kind: InterruptionKind;
  readonly action: string;
  readonly deadline: string | null;
  /** Counts the node events of one agent's life; with `time` it orders them. */
  readonly sequence: number;
}

/** CloudEvents 1.0, JSON format. */
export interface CloudEvent<Type extends string, Data> {
  readonly specversion: '1.0';
  readonly id: string;
  /** `/REGION/INSTANCE-ID`. */
  readonly source: string;
  readonly type: Type;
  /** The game server's id, or the node's name. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: Data;
}

export type GameServerEvent = CloudEvent<GameServerEventType, GameServerData>;
export type NodeEvent = CloudEvent<NodeEventType, NodeData>;
export type InventoryEvent = GameServerEvent | NodeEvent;

export function gameServerEvent(
  name: GameServerState | 'heartbeat',
  data: GameServerData,
  nowMs: number,
): GameServerEvent {
  // The server's own name and count say which event this is, and what says so cannot differ between two sends of it.
  const id = `${data.game_server_id}/${data.sequence}/${name}`;
  return envelope(id, `dev.spotable.gameserver.${name}.v1`, data.game_server_id, data, nowMs);
}

export function nodeEvent(data: NodeData, nowMs: number): NodeEvent {
  const subject = data.node ?? data.instance_id ?? 'unknown';
  // The global `crypto`, because importing node:crypto costs every wrapper 3 MiB and 4 ms before its game starts.
  return envelope(crypto.randomUUID(), `dev.spotable.node.${data.status}.v1`, subject, data, nowMs);
}

function envelope<Type extends string, Data extends PlacementData>(
  id: string,
  type: Type,
  subject: string,
  data: Data,
  nowMs: number,
): CloudEvent<Type, Data> {
  return {
    specversion: '1.0',
    id,
    source: `/${data.region ?? 'unknown'}/${data.instance_id ?? data.node ?? 'unknown'}`,
    type,
    subject,
    time: instant(nowMs),
    datacontenttype: 'application/json',
    data,
  };
}

/** What keeps events in order on a FIFO queue: each game server, and each node, is a message group of its own. */
export function messageGroup(event: InventoryEvent): string {
  return event.subject;
}
