import type { SessionMessage } from '../../shared/link/link-message.ts';
import type { GameServerPod } from './game-server-pod.ts';
import { isOurs } from './pod-report.ts';

/** A line of the link takes 64 KiB. */
const maxChars = 49_152;

/** What its wrapper is to know of the pod's allocation; undefined where the pod is no fleet's. */
export function sessionMessageOf(pod: GameServerPod): SessionMessage | undefined {
  const { allocation, sessionId, labels, hasGate } = pod;
  if (allocation === undefined) return undefined;
  // What we write there ourselves came from the wrapper.
  const foreign = Object.entries(pod.annotations).filter(([key]) => !isOurs(key));
  return {
    type: 'session',
    session_id: allocation === 'allocated' ? (sessionId ?? '') : null,
    labels,
    annotations: Object.fromEntries(fitting(foreign)),
    // Allocated before its game was ever ready: with the gate nobody allocates such a pod, so its session was another
    // game's.
    ends_if_new: hasGate,
  };
}

/** The small ones first: one that is too large keeps none of the others away. */
function fitting(entries: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  let chars = 0;
  return entries
    .toSorted((a, b) => a[1].length - b[1].length)
    .filter(([key, value]) => {
      chars += JSON.stringify([key, value]).length;
      return chars <= maxChars;
    });
}
