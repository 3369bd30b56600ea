import type { SessionMessage } from '../../shared/link/link-message.ts';
import type { GameServerPod } from './game-server-pod.ts';
import { isOurs, isSuccessor } from './pod-report.ts';

/** A line of the link holds 64 KiB. */
const maxChars = 49_152;

/** The message that tells a wrapper its pod's allocation; undefined: the pod belongs to no fleet. */
export function sessionMessageOf(pod: GameServerPod, gameServerId: string): SessionMessage | undefined {
  const { allocation, sessionId, labels, hasGate } = pod;
  if (allocation === undefined) return undefined;
  // Our own values there came from the wrapper.
  const foreign = Object.entries(pod.annotations).filter(([key]) => !isOurs(key));
  return {
    type: 'session',
    session_id: allocation === 'allocated' ? (sessionId ?? '') : null,
    labels,
    annotations: Object.fromEntries(fitting(foreign)),
    // Allocated before this game was ever ready: with the gate no such pod is allocated, so the session belonged to an
    // earlier game.
    ends_if_new: hasGate,
    spent: isSuccessor(pod, gameServerId),
  };
}

/** Small entries first, so that one large entry excludes no others. */
function fitting(entries: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  let chars = 0;
  return entries
    .toSorted((a, b) => a[1].length - b[1].length)
    .filter(([key, value]) => {
      chars += JSON.stringify([key, value]).length;
      return chars <= maxChars;
    });
}
