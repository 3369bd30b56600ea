import { systemClock } from '../../../shared/clock.ts';
import { FollowedList } from '../../../shared/kubernetes/follow-list.ts';
import type { KubeConnection } from '../../../shared/kubernetes/kube-connection.ts';
import { errorText, silentLog } from '../../../shared/log.ts';
import type { Pod } from '../pod/pod.ts';

export interface PodListener {
  changed(pod: Pod): void;
  removed(pod: Pod): void;
  /** Called on changes only. */
  reachable(reachable: boolean, message: string): void;
}

/** Reports changes to this node's pods until `signal` aborts. */
export async function followPods(
  connection: KubeConnection,
  node: string,
  listener: PodListener,
  signal: AbortSignal,
): Promise<void> {
  let known: ReadonlyMap<string, Pod> = new Map();
  let isReachable: boolean | undefined;
  const tellReachable = (now: boolean, message: string): void => {
    if (now !== isReachable) listener.reachable(now, message);
    isReachable = now;
  };
  const pods = new FollowedList<Pod>({
    connection,
    path: `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${node}`)}`,
    read: (object) => object as Pod,
    onItems(items) {
      tellReachable(true, `${items.size} pods`);
      const before = known;
      // Copy the map: the given one keeps changing.
      known = new Map(items);
      for (const [uid, pod] of before) if (!items.has(uid)) listener.removed(pod);
      for (const [uid, pod] of items) if (before.get(uid) !== pod) listener.changed(pod);
    },
    onReachable: (now, cause) => tellReachable(now, now ? `${known.size} pods` : errorText(cause)),
    clock: systemClock,
    // The kubelet reports what happens to its pods and nothing else.
    log: silentLog,
  });
  await pods.run(signal);
}
