import type { SessionMessage } from '../shared/link/link-message.ts';

/** What the wrapper knows of its pod's place in a fleet. */
export interface FleetSession {
  /** What the pod bears; undefined: no agent has told of a fleet. */
  readonly pod: PodMetadata | undefined;
  /** The session that the game server has now. */
  readonly current: string | undefined;
  /** The last one that it has taken: it stays said when the session is over. */
  readonly taken: string;
  /** The one after which the game was ready again. */
  readonly over: string | undefined;
}

export interface PodMetadata {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** `spent`: the session belonged to another game of this pod, and this one must serve nobody. */
export type SessionChange = 'none' | 'begun' | 'withdrawn' | 'spent';

export const noSession: FleetSession = { pod: undefined, current: undefined, taken: '', over: undefined };

/** What an agent's message means. It may come again, or late: a session that the game has ended does not begin anew. */
export function hearSession(
  before: FleetSession,
  { session_id: id, labels, annotations, ends_if_new: endsIfNew }: SessionMessage,
  hasBeenReady: boolean,
): { readonly session: FleetSession; readonly change: SessionChange } {
  const session = { ...before, pod: { labels, annotations } };
  if (id === null) {
    const change = before.current === undefined ? 'none' : 'withdrawn';
    return { session: { ...session, current: undefined, over: undefined }, change };
  }
  if (id === before.current || id === before.over) return { session, change: 'none' };
  if (endsIfNew && !hasBeenReady) return { session, change: 'spent' };
  return { session: { ...session, current: id, taken: id, over: undefined }, change: 'begun' };
}

/** The game is ready for another one, by its own word. */
export function endSession(session: FleetSession): FleetSession {
  return session.current === undefined ? session : { ...session, current: undefined, over: session.current };
}
