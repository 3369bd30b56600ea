import { type InterruptionKind, instant } from '../interruption/interruption.ts';

/** States of a game server in the inventory. */
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

/** The location of a game server or a node. null: unknown. */
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
 * Every event carries everything known about its game server, so the newest one alone is complete. The first five
 * names, and their meanings, come from the project's original specification.
 */
export interface GameServerData extends PlacementData {
  /** The host that players connect to: a DNS name, or an address if there is none. */
  readonly public_hostname: string | null;
  /** The first port, which players connect to. */
  readonly public_port: number | null;
  readonly status: GameServerState;
  /** The kind of game server, in the words of the studio; default `game-server`. */
  readonly type: string;
  readonly game_server_id: string;
  /** Counts the events of this game server from 1: the highest one is current. */
  readonly sequence: number;
  /** If no further event comes by then (RFC 3339), the game server is lost. null: it has ended and needs no lease. */
  readonly lease_expires_at: string | null;
  readonly public_ip: string | null;
  readonly ports: Readonly<Record<string, PublishedPort>>;
  readonly pod: string | null;
  readonly namespace: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Number of players. */
  readonly players: number | null;
  /** Latest time at which it will be gone (RFC 3339); null: unknown. */
  readonly deadline: string | null;
  /** Why it ends: an interruption kind, `sigterm`, `game-exited`, ... null: it is not ending. */
  readonly reason: string | null;
  /** The game's exit status, 128+n after signal n. null: it has not ended. */
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
  /** The game server's ID, or the node's name. */
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
  // Derived from the game server's ID and its count, so that every retry of this event has the same ID.
  const id = `${data.game_server_id}/${data.sequence}/${name}`;
  return envelope(id, `dev.spotable.gameserver.${name}.v1`, data.game_server_id, data, nowMs);
}

export function nodeEvent(data: NodeData, nowMs: number): NodeEvent {
  const subject = data.node ?? data.instance_id ?? 'unknown';
  // The global `crypto`: importing node:crypto would cost every wrapper 3 MiB and 4 ms before its game starts.
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

/** The message group on a FIFO queue: events of each game server and each node stay in order. */
export function messageGroup(event: InventoryEvent): string {
  return event.subject;
}
