import type { GameServerPod } from '../cluster/game-server-pod.ts';

/** A PATCH without an answer has ended one way or the other by then. */
const maxHoldMs = 30_000;

/**
 * Pods that this process is giving to somebody, or has given, while the watch does not show it yet. It is the state of
 * the pod that is taken: once the watch has a newer one, that one speaks for itself.
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

  /** Gives what releases it again, where it was not taken after all. */
  take({ uid, resourceVersion }: GameServerPod): () => void {
    const held = { resourceVersion, atMs: this.#monotonicMs() };
    this.#held.set(uid, held);
    return () => {
      if (this.#held.get(uid) === held) this.#held.delete(uid);
    };
  }

  /** Drops pods that are gone. */
  keepOnly(pods: ReadonlyMap<string, unknown>): void {
    for (const uid of this.#held.keys()) if (!pods.has(uid)) this.#held.delete(uid);
  }
}
