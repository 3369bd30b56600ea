import type { KubeClient } from '../../kube-client/kube-client.ts';
import type { Pod } from '../pod/pod.ts';
import { RetryDelay } from './retry-delay.ts';

/** What is known of this node's pods: all of them after each list, one at a time in between. */
export interface PodListener {
  listed(pods: readonly Pod[]): void;
  changed(pod: Pod): void;
  removed(pod: Pod): void;
  /** Told on change only. */
  reachable(reachable: boolean, message: string): void;
}

/** Short, so that a connection that died without a word is noticed. */
const watchSeconds = 60;

/**
 * Lists this node's pods and watches on from there until `signal` aborts. A watch that ends resumes where it was; one
 * that is refused or broken off begins again with a list, because what was missed is not known.
 */
export async function followPods(
  kube: KubeClient,
  node: string,
  listener: PodListener,
  signal: AbortSignal,
): Promise<void> {
  const fieldSelector = `spec.nodeName=${node}`;
  const retry = new RetryDelay();
  let isReachable: boolean | undefined;
  const tellReachable = (now: boolean, message: string): void => {
    if (now !== isReachable) listener.reachable(now, message);
    isReachable = now;
  };
  while (!signal.aborted) {
    try {
      const list = await kube.list<Pod>('/api/v1/pods', { fieldSelector, signal });
      tellReachable(true, `${list.items.length} pods`);
      listener.listed(list.items);
      let resourceVersion: string | undefined = list.metadata.resourceVersion;
      while (resourceVersion !== undefined && !signal.aborted) {
        resourceVersion = await watchOnce(kube, { fieldSelector, resourceVersion, listener, signal, retry });
      }
    } catch (error) {
      if (signal.aborted) return;
      tellReachable(false, error instanceof Error ? error.message : String(error));
    }
    await retry.wait(signal);
  }
}

/** Where to resume; undefined where only a list helps. */
async function watchOnce(
  kube: KubeClient,
  follow: {
    fieldSelector: string;
    resourceVersion: string;
    listener: PodListener;
    signal: AbortSignal;
    retry: RetryDelay;
  },
): Promise<string | undefined> {
  const { fieldSelector, listener, signal, retry } = follow;
  let { resourceVersion } = follow;
  const begunAtMs = performance.now();
  const events = kube.watch<Pod>('/api/v1/pods', {
    fieldSelector,
    resourceVersion,
    timeoutSeconds: watchSeconds,
    signal,
  });
  for await (const event of events) {
    if (event.type === 'ERROR') return undefined;
    resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
    if (event.type === 'BOOKMARK') continue;
    retry.reset();
    if (event.type === 'DELETED') listener.removed(event.object);
    else listener.changed(event.object);
  }
  // A server that ends every watch at once must not be asked again without a pause.
  if (performance.now() - begunAtMs < 1000) await retry.wait(signal);
  return resourceVersion;
}
