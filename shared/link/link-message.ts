import type { GameServerState, InventoryEvent, PublishedPort } from '../events/event.ts';
import type { RefusedEvent } from '../events/inventory.ts';
import { type Interruption, instant } from '../interruption/interruption.ts';
import type { Instance } from '../metadata/instance.ts';

/** Increased when an existing message changes its meaning, not for new fields or new types. */
export const linkProtocolVersion = 1;

/** Identifies a wrapper. `pod_uid` is absent outside Kubernetes. */
export interface HelloMessage {
  readonly type: 'hello';
  readonly version: number;
  readonly game_server_id: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly pod_uid?: string;
  /** The wrapper's PID, so that the agent can clean up after a wrapper that was killed. */
  readonly pid?: number;
  readonly ports: Readonly<Record<string, PublishedPort>>;
  /** The pod's projected service-account token, if mounted. */
  readonly token?: string;
}

export interface StateMessage {
  readonly type: 'state';
  readonly state: GameServerState;
  readonly players?: number;
  /** Sent only by a game server whose players come by allocation. Other game servers cannot know that they are idle. */
  readonly occupancy?: Occupancy;
  /** The address for players, if known. */
  readonly address?: string;
  /**
   * The session that the game server has taken. Empty: it can take a session and has none. Absent: it does not support
   * sessions.
   */
  readonly session_taken?: string;
  /** The session after which the game became ready again. */
  readonly session_over?: string;
  /** `3/10`, by name. */
  readonly counters?: Readonly<Record<string, string>>;
  readonly lists?: Readonly<Record<string, { readonly capacity: number; readonly values: readonly string[] }>>;
}

/** `idle`: ready and without players. `occupied`: allocated, reserved or with players; also while it ends. */
export type Occupancy = 'idle' | 'occupied';

/** An inventory event for the agent to publish. The wrapper keeps the event until `published` names it. */
export interface EventMessage {
  readonly type: 'event';
  readonly event: InventoryEvent;
}

export type WrapperMessage = HelloMessage | StateMessage | EventMessage;

/**
 * Sent as soon as a connection exists, after an interruption if one is under way: the game's start waits for this
 * message. Sent again once the agent knows from the `hello` whether it may publish for this wrapper. Older agents send
 * it only after the `hello`.
 */
export interface WelcomeMessage {
  readonly type: 'welcome';
  readonly version: number;
  /** Whether the agent will publish this wrapper's events. If not, the wrapper publishes them itself. */
  readonly publishes: boolean;
  readonly node: string | null;
  /** Facts about the instance, so that wrappers need not query the metadata service. */
  readonly instance?: Instance;
}

export interface InterruptionMessage {
  readonly type: 'interruption';
  readonly id: string;
  readonly kind: Interruption['kind'];
  readonly action: Interruption['action'];
  /** When the instance is taken (RFC 3339). null: a mere risk without a known time; the game goes on. */
  readonly deadline: string | null;
  /** When the pod should have ended, a few seconds before the deadline. */
  readonly end_by: string | null;
}

export interface CancelledMessage {
  readonly type: 'cancelled';
  readonly id: string;
}

export interface PublishedMessage {
  readonly type: 'published';
  readonly ids: readonly string[];
}

/** The allocation of the wrapper's pod. Sent when the agent has identified the wrapper, and at each change. */
export interface SessionMessage {
  readonly type: 'session';
  /** null: no session. */
  readonly session_id: string | null;
  /** The pod's labels. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /**
   * The session was given to a game that was ready. If this game has never been ready, it is a different one and must
   * end instead of serving the session.
   */
  readonly ends_if_new: boolean;
  /** An earlier game of the pod had the session: this one must serve nobody. */
  readonly spent: boolean;
}

/** Events that the queue will never accept. */
export interface RefusedMessage {
  readonly type: 'refused';
  readonly events: readonly RefusedEvent[];
}

/** Response to a line that the agent could not use. */
export interface ErrorMessage {
  readonly type: 'error';
  readonly message: string;
}

/**
 * The agent's heartbeat. A hanging agent keeps its connections open, and its wrappers would go on relying on it.
 * Without another heartbeat for three times `next_ms`, a wrapper acts on its own. Older agents never send heartbeats
 * and are trusted without them.
 */
export interface AliveMessage {
  readonly type: 'alive';
  /** Milliseconds until the next heartbeat. */
  readonly next_ms: number;
}

export type AgentMessage =
  | WelcomeMessage
  | AliveMessage
  | InterruptionMessage
  | CancelledMessage
  | PublishedMessage
  | RefusedMessage
  | SessionMessage
  | ErrorMessage;

export function encodeLine(message: WrapperMessage | AgentMessage): string {
  return `${JSON.stringify(message)}\n`;
}

export function interruptionMessage(interruption: Interruption, endByMs: number | undefined): InterruptionMessage {
  const { id, kind, action, deadlineMs } = interruption;
  return {
    type: 'interruption',
    id,
    kind,
    action,
    deadline: deadlineMs === undefined ? null : instant(deadlineMs),
    end_by: endByMs === undefined ? null : instant(endByMs),
  };
}
