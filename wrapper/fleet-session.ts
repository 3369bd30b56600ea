import type { SessionMessage } from '../shared/link/link-message.ts';

/** The wrapper's view of its pod's place in a fleet. */
export interface FleetSession {
  /** The pod's own metadata; undefined: no agent has reported a fleet. */
  readonly pod: PodMetadata | undefined;
  /** The session that the game server has now. */
  readonly current: string | undefined;
  /** The last session that the game server accepted. Stays set after the session ends. */
  readonly taken: string;
  /** The session after which the game became ready again. */
  readonly over: string | undefined;
}

export interface PodMetadata {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** `spent`: the session belonged to an earlier game of this pod, and this one must serve nobody. */
export type SessionChange = 'none' | 'begun' | 'withdrawn' | 'spent';

export const noSession: FleetSession = { pod: undefined, current: undefined, taken: '', over: undefined };

/**
 * Interprets an agent's message. Messages may arrive twice or late, so a session that the game has ended must not begin
 * again.
 */
export function hearSession(
  before: FleetSession,
  { session_id: id, labels, annotations, ends_if_new: endsIfNew, spent: isSpent }: SessionMessage,
  hasBeenReady: boolean,
): { readonly session: FleetSession; readonly change: SessionChange } {
  const session = { ...before, pod: { labels, annotations } };
  if (id === null) {
    const change = before.current === undefined ? 'none' : 'withdrawn';
    return { session: { ...session, current: undefined, over: undefined }, change };
  }
  if (id === before.current || id === before.over) return { session, change: 'none' };
  if (isSpent || (endsIfNew && !hasBeenReady)) return { session, change: 'spent' };
  return { session: { ...session, current: id, taken: id, over: undefined }, change: 'begun' };
}

/** The game reported that it is ready for another session. */
export function endSession(session: FleetSession): FleetSession {
  return session.current === undefined ? session : { ...session, current: undefined, over: session.current };
}
