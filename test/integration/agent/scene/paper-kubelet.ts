import type { ApiServer } from '../../../../sandbox/kubernetes/api-server.ts';
import type { Pod } from '../../../../sandbox/kubernetes/objects.ts';
import { pods } from '../../../../sandbox/kubernetes/registry/table.ts';

/** How a pod ended. */
export interface PodEnding {
  readonly name: string;
  readonly atMs: number;
  /** Its grace was over before it had ended by itself. */
  readonly wasKilled: boolean;
}

interface Life {
  readonly stopMs: number;
  toldMs: number | undefined;
  graceSeconds: number;
  timer: NodeJS.Timeout | undefined;
}

/** Ends pods as a kubelet does, without processes: SIGTERM when the deletion is seen, SIGKILL when the grace, also a shortened one, is over. */
export class PaperKubelet {
  readonly endings: PodEnding[] = [];
  readonly #api: ApiServer;
  readonly #lives = new Map<string, Life>();
  readonly #unsubscribe: () => void;

  constructor(api: ApiServer) {
    this.#api = api;
    this.#unsubscribe = api.store.subscribe(pods, ({ type, object }) => {
      if (type === 'DELETED') this.#forget(object.metadata.uid);
      else this.#see(object as Pod);
    });
  }

  /** Runs a pod that needs so long to end once it is told to; the pod is ready from now on. */
  run({ metadata }: Pod, stopMs: number): void {
    this.#lives.set(metadata.uid, {
      stopMs,
      toldMs: undefined,
      graceSeconds: Number.POSITIVE_INFINITY,
      timer: undefined,
    });
    this.#api.registry.update(
      pods,
      metadata.namespace,
      metadata.name,
      (pod): Pod => ({
        ...pod,
        status: { ...pod.status, phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
      }),
      { subresource: 'status' },
    );
  }

  stop(): void {
    this.#unsubscribe();
    for (const { timer } of this.#lives.values()) clearTimeout(timer);
  }

  #see({ metadata }: Pod): void {
    const life = this.#lives.get(metadata.uid);
    const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata;
    if (life === undefined || deletionTimestamp === undefined || deletionGracePeriodSeconds >= life.graceSeconds)
      return;
    life.graceSeconds = deletionGracePeriodSeconds;
    life.toldMs ??= Date.now();
    clearTimeout(life.timer);
    const ownMs = life.toldMs + life.stopMs - Date.now();
    const graceMs = deletionGracePeriodSeconds * 1000;
    life.timer = setTimeout(() => this.#end(metadata, graceMs < ownMs), Math.max(0, Math.min(ownMs, graceMs)));
  }

  #end({ namespace, name, uid }: Pod['metadata'], wasKilled: boolean): void {
    this.endings.push({ name, atMs: Date.now(), wasKilled });
    if (this.#api.store.get(pods, namespace, name)?.metadata.uid === uid)
      this.#api.registry.delete(pods, namespace, name, { gracePeriodSeconds: 0 });
  }

  #forget(uid: string): void {
    clearTimeout(this.#lives.get(uid)?.timer);
    this.#lives.delete(uid);
  }
}
