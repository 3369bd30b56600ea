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
  readonly lagMs: number;
  toldMs: number | undefined;
  hasEnded: boolean;
  graceSeconds: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Ends pods as a kubelet does, without processes: SIGTERM when the deletion is seen, SIGKILL when the grace, also a
 * shortened one, is over.
 */
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

  /**
   * Runs a pod that needs so long to end once it is told to, and is listed for `lagMs` more; the pod is ready from now
   * on.
   */
  run({ metadata }: Pod, stopMs: number, lagMs = 0): void {
    this.#lives.set(metadata.uid, {
      stopMs,
      lagMs,
      toldMs: undefined,
      hasEnded: false,
      graceSeconds: Number.POSITIVE_INFINITY,
      timer: undefined,
    });
    this.#report(metadata, { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] });
  }

  #report({ namespace, name }: Pod['metadata'], status: Partial<Pod['status']>): void {
    const update = (pod: Pod): Pod => ({ ...pod, status: { ...pod.status, ...status } });
    this.#api.registry.update(pods, namespace, name, update, { subresource: 'status' });
  }

  stop(): void {
    this.#unsubscribe();
    for (const { timer } of this.#lives.values()) clearTimeout(timer);
  }

  #see({ metadata }: Pod): void {
    const life = this.#lives.get(metadata.uid);
    const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata;
    if (
      life === undefined ||
      life.hasEnded ||
      deletionTimestamp === undefined ||
      deletionGracePeriodSeconds >= life.graceSeconds
    )
      return;
    life.graceSeconds = deletionGracePeriodSeconds;
    life.toldMs ??= Date.now();
    clearTimeout(life.timer);
    const ownMs = life.toldMs + life.stopMs - Date.now();
    const graceMs = deletionGracePeriodSeconds * 1000;
    life.timer = setTimeout(() => this.#end(metadata, graceMs < ownMs), Math.max(0, Math.min(ownMs, graceMs)));
  }

  #end(metadata: Pod['metadata'], wasKilled: boolean): void {
    const { name, uid } = metadata;
    this.endings.push({ name, atMs: Date.now(), wasKilled });
    const life = this.#lives.get(uid);
    if (life !== undefined) life.hasEnded = true;
    if (life === undefined || life.lagMs === 0) {
      this.#remove(metadata);
      return;
    }
    const terminated = { exitCode: 0, startedAt: null, finishedAt: null };
    const container = {
      name: 'game',
      image: 'demo:1',
      imageID: '',
      ready: false,
      restartCount: 0,
      state: { terminated },
    };
    this.#report(metadata, {
      containerStatuses: [container] as unknown as NonNullable<Pod['status']['containerStatuses']>,
    });
    life.timer = setTimeout(() => this.#remove(metadata), life.lagMs);
  }

  #remove({ namespace, name, uid }: Pod['metadata']): void {
    if (this.#api.store.get(pods, namespace, name)?.metadata.uid === uid)
      this.#api.registry.delete(pods, namespace, name, { gracePeriodSeconds: 0 });
  }

  #forget(uid: string): void {
    clearTimeout(this.#lives.get(uid)?.timer);
    this.#lives.delete(uid);
  }
}
