import type { GameServerState, InventoryEvent, PublishedPort } from '../events/event.ts';
import type { RefusedEvent } from '../events/inventory.ts';
import { type Interruption, instant } from '../interruption/interruption.ts';
import type { Instance } from '../metadata/instance.ts';

/** Raised when a message changes its meaning; new fields and new types do not raise it. */
export const linkProtocolVersion = 1;

/** Who a wrapper is. `pod_uid` is absent outside Kubernetes. */
export interface HelloMessage {
  readonly type: 'hello';
  readonly version: number;
  readonly game_server_id: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly pod_uid?: string;
  /** The wrapper's process, so that the agent can clean up after one that was killed. */
  readonly pid?: number;
  readonly ports: Readonly<Record<string, PublishedPort>>;
  /** The pod's projected service-account token, where it has one. */
  readonly token?: string;
}

export interface StateMessage {
  readonly type: 'state';
  readonly state: GameServerState;
  readonly players?: number;
  /** Only from a game server that takes its players by allocation: of any other, nobody can say that it is idle. */
  readonly occupancy?: Occupancy;
  /** What players connect to, where it is known. */
  readonly address?: string;
  /** The session that it has taken; empty: it can take one, and has none. Absent: it knows nothing of sessions. */
  readonly session_taken?: string;
  /** The session after which its game was ready again. */
  readonly session_over?: string;
  /** `3/10`, by name. */
  readonly counters?: Readonly<Record<string, string>>;
  readonly lists?: Readonly<Record<string, { readonly capacity: number; readonly values: readonly string[] }>>;
}

/** `idle`: ready, and nobody plays. `occupied`: allocated or reserved, or players are there; also while it ends. */
export type Occupancy = 'idle' | 'occupied';

/** An inventory event for the agent to publish; the wrapper keeps it until `published` names it. */
export interface EventMessage {
  readonly type: 'event';
  readonly event: InventoryEvent;
}

export type WrapperMessage = HelloMessage | StateMessage | EventMessage;

/**
 * Comes as soon as there is a connection, behind an interruption that is under way: a game's start waits for it. It
 * comes again once the agent knows from the `hello` whether it may publish for this wrapper. Older agents say all of it
 * after the `hello`.
 */
export interface WelcomeMessage {
  readonly type: 'welcome';
  readonly version: number;
  /** Whether the agent will publish this wrapper's events; otherwise the wrapper does so by itself. */
  readonly publishes: boolean;
  readonly node: string | null;
  /** What the agent knows of the instance, so that its wrappers need not ask the metadata service. */
  readonly instance?: Instance;
}

export interface InterruptionMessage {
  readonly type: 'interruption';
  readonly id: string;
  readonly kind: Interruption['kind'];
  readonly action: Interruption['action'];
  /** When the instance is taken (RFC 3339). null: a risk without an instant; the game goes on. */
  readonly deadline: string | null;
  /** By when the pod should have ended, some seconds before the deadline. */
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

/** What the wrapper's pod says of its allocation. Comes when it is known who the wrapper is, and at each change. */
export interface SessionMessage {
  readonly type: 'session';
  /** null: it has none. */
  readonly session_id: string | null;
  /** Of the pod. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** A game that has never been ready is not the one that the session was given to: it must serve nobody. */
  readonly ends_if_new: boolean;
}

/** These events will never be taken by the queue. */
export interface RefusedMessage {
  readonly type: 'refused';
  readonly events: readonly RefusedEvent[];
}

/** Answers a line that the agent could not use. */
export interface ErrorMessage {
  readonly type: 'error';
  readonly message: string;
}

/**
 * The agent runs. One that hangs keeps its connections open, and its wrappers would go on relying on it: after three
 * times `next_ms` without the next one a wrapper looks after itself. Older agents never say it, and are believed.
 */
export interface AliveMessage {
  readonly type: 'alive';
  /** The next one comes after so many milliseconds. */
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
