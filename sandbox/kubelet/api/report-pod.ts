import { isDeepStrictEqual } from 'node:util';
import { KubeError } from '../../../shared/kubernetes/kube-answer.ts';
import { RetryPause } from '../../../shared/retry.ts';
import { isRefusedWith, type KubeClient } from '../../kube-client/kube-client.ts';
import type { Condition, Pod, PodStatus } from '../pod/pod.ts';
import { patchStatus } from '../pod/pod-status.ts';
import { apiRetry } from './api-retry.ts';

/** Retry sooner than this even if the server asks for a longer wait. */
const maxRetryAfterMs = 5000;

/**
 * Brings one pod's newest status to the API server, however long that takes. Finally it confirms the pod's end: a
 * DELETE with grace 0 and the pod's uid, sent only after the server has taken the final status.
 */
export class PodReporter {
  readonly #kube: KubeClient;
  readonly #path: string;
  readonly #uid: string;
  readonly #signal: AbortSignal;
  #api: PodStatus | undefined;
  #wanted: PodStatus | undefined;
  #accepted: PodStatus | undefined;
  #confirm: 'no' | 'wanted' | 'done' = 'no';
  #isGone = false;
  #isSending = false;

  constructor(kube: KubeClient, pod: Pod, signal: AbortSignal) {
    this.#kube = kube;
    this.#path = `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`;
    this.#uid = pod.metadata.uid;
    this.#signal = signal;
    this.#api = pod.status;
  }

  /** Records the pod as the API server shows it. */
  saw(pod: Pod): void {
    this.#api = pod.status;
  }

  /** The conditions as last sent, or as the API server had them before. */
  get conditions(): readonly Condition[] {
    return this.#wanted?.conditions ?? this.#api?.conditions ?? [];
  }

  report(status: PodStatus): void {
    if (isDeepStrictEqual(status, this.#wanted)) return;
    this.#wanted = status;
    this.#start();
  }

  /** Call when the pod was deleted and has ended, and its final status was already reported. */
  confirm(): void {
    if (this.#confirm !== 'no') return;
    this.#confirm = 'wanted';
    this.#start();
  }

  /** The API server no longer has the pod. */
  forget(): void {
    this.#isGone = true;
  }

  #start(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    void this.#send().finally(() => {
      this.#isSending = false;
    });
  }

  async #send(): Promise<void> {
    const pause = new RetryPause(apiRetry);
    while (!this.#signal.aborted && !this.#isGone && this.#hasWork()) {
      try {
        await this.#sendNext();
        pause.progressed();
      } catch (error) {
        if (this.#signal.aborted) return;
        if (isRefusedWith(error, 404, 409) && (await this.#isReplaced())) return this.forget();
        pause.failed();
        const retryAfterMs = error instanceof KubeError ? error.retryAfterMs : undefined;
        await pause.wait(this.#signal, { atLeastMs: Math.min(retryAfterMs ?? 0, maxRetryAfterMs) });
      }
    }
  }

  /** The name now belongs to another pod or to none, so there is no pod left to report on. */
  async #isReplaced(): Promise<boolean> {
    try {
      const found = await this.#kube.get(this.#path, { signal: this.#signal });
      return found.metadata.uid !== this.#uid;
    } catch (error) {
      return isRefusedWith(error, 404);
    }
  }

  #hasWork(): boolean {
    return this.#wanted !== this.#accepted || this.#confirm === 'wanted';
  }

  async #sendNext(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted !== undefined && wanted !== this.#accepted) {
      const known = [...(this.#api?.conditions ?? []), ...(this.#accepted?.conditions ?? [])];
      const patch = patchStatus(this.#uid, wanted, known);
      await this.#kube.patch(`${this.#path}/status`, 'strategic', patch, { signal: this.#signal });
      this.#accepted = wanted;
      return;
    }
    await this.#kube.remove(this.#path, { gracePeriodSeconds: 0, uid: this.#uid, signal: this.#signal });
    this.#confirm = 'done';
  }
}
