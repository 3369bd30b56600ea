import type { Log } from '../../shared/log.ts';
import { type PodView, podName } from '../drain/pod.ts';
import type { NodeView } from '../node-state/node-mark.ts';
import type { Cluster, DeleteOutcome, EvictOutcome, PatchOutcome } from './cluster.ts';

/** Reads the real cluster and changes nothing. Logs each change instead and reports success. */
export class DryRunCluster implements Cluster {
  readonly #cluster: Cluster;
  readonly #log: Log;
  /** Pods that a real run would have evicted or deleted. */
  readonly #gone = new Set<string>();

  constructor(cluster: Cluster, log: Log) {
    this.#cluster = cluster;
    this.#log = log;
  }

  node(): NodeView | undefined {
    return this.#cluster.node();
  }

  pods(): readonly PodView[] | undefined {
    return this.#cluster.pods()?.filter(({ uid }) => !this.#gone.has(uid));
  }

  changed(): Promise<void> {
    return this.#cluster.changed();
  }

  doubt(what?: 'all' | 'pods'): void {
    this.#cluster.doubt(what);
  }

  async listPods(signal: AbortSignal): Promise<readonly PodView[]> {
    await this.#cluster.listPods(signal);
    return this.pods() ?? [];
  }

  readNode(signal: AbortSignal): Promise<NodeView | undefined> {
    return this.#cluster.readNode(signal);
  }

  async patchNode(patch: object): Promise<PatchOutcome> {
    this.#log.info({ patch }, 'Dry run: would patch node');
    const node = this.#cluster.node();
    return node === undefined ? { kind: 'gone' } : { kind: 'patched', node };
  }

  async evict(pod: PodView, gracePeriodSeconds: number): Promise<EvictOutcome> {
    return this.#logOnly(pod, gracePeriodSeconds, 'Dry run: would evict pod');
  }

  async deletePod(pod: PodView, gracePeriodSeconds: number): Promise<DeleteOutcome> {
    return this.#logOnly(pod, gracePeriodSeconds, 'Dry run: would delete pod');
  }

  #logOnly(pod: PodView, gracePeriodSeconds: number, message: string): { readonly kind: 'gone' } {
    this.#log.info({ pod: podName(pod), gracePeriodSeconds }, message);
    this.#gone.add(pod.uid);
    return { kind: 'gone' };
  }
}
