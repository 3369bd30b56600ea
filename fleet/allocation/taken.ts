import type { GameServerPod } from '../cluster/game-server-pod.ts';

/** A PATCH without an answer has succeeded or failed by then. */
const maxHoldMs = 30_000;

/**
 * Pods that this process is giving or has given to a session while the watch does not show that yet. An entry holds for
 * one version of the pod: as soon as the watch has a newer version, that version counts.
 */
export class Taken {
  readonly #monotonicMs: () => number;
  /** By uid. */
  readonly #held = new Map<string, { readonly resourceVersion: string; readonly atMs: number }>();

  constructor(monotonicMs: () => number = () => performance.now()) {
    this.#monotonicMs = monotonicMs;
  }

  has({ uid, resourceVersion }: GameServerPod): boolean {
    const held = this.#held.get(uid);
    if (held === undefined) return false;
    if (held.resourceVersion === resourceVersion && this.#monotonicMs() - held.atMs < maxHoldMs) return true;
    this.#held.delete(uid);
    return false;
  }

  /** Returns a function that releases the pod if it was not taken after all. */
  take({ uid, resourceVersion }: GameServerPod): () => void {
    const held = { resourceVersion, atMs: this.#monotonicMs() };
    this.#held.set(uid, held);
    return () => {
      if (this.#held.get(uid) === held) this.#held.delete(uid);
    };
  }

  /** Drops entries of deleted pods. */
  keepOnly(pods: ReadonlyMap<string, unknown>): void {
    for (const uid of this.#held.keys()) if (!pods.has(uid)) this.#held.delete(uid);
  }
}
