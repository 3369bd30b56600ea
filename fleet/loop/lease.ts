import type { Clock } from '../../shared/clock.ts';
import { refusal } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { leasesPath, mergePatch } from '../cluster/kube-paths.ts';

export interface LeaseOptions {
  readonly connection: KubeConnection;
  readonly namespace: string;
  readonly name: string;
  /** Our identity: the pod's name. */
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly monotonicMs?: () => number;
}

const leaseSeconds = 15;
const renewMs = 5000;
/** Stop acting this long after the last renewal, before another replica may begin. */
const trustMs = 10_000;

interface LeaseObject {
  readonly metadata?: { readonly resourceVersion?: string };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number;
  };
}

/**
 * One of several replicas holds the lease and does the work that must not run twice at the same time. As in client-go's
 * leader election, another's lease has expired when we saw no renewal for its duration by our own clock, so that clocks
 * need not agree.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #monotonicMs: () => number;
  /** Another holder's last renewal, and when we first saw it. */
  #seen: { readonly renewTime: string; readonly atMs: number } | undefined;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #wasHeld = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  get isHeld(): boolean {
    return this.#monotonicMs() - this.#renewedAtMs < trustMs;
  }

  /**
   * Tries to get and keep the lease until the signal aborts; then releases it, so that another replica need not wait.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#tryOnce(signal);
      } catch (error) {
        if (!signal.aborted) log.warn({ err: errorText(error) }, 'Cannot renew the lease');
      }
      if (this.isHeld !== this.#wasHeld) log.info({ isHeld: this.isHeld }, 'Lease of the loop');
      this.#wasHeld = this.isHeld;
      await clock.sleep(renewMs, signal).catch(() => {});
    }
    if (this.isHeld) await this.#giveUp().catch(() => {});
  }

  async #tryOnce(signal: AbortSignal): Promise<void> {
    const { connection, identity } = this.#options;
    const startMs = this.#monotonicMs();
    const found = await connection.request({ method: 'GET', path: this.#path(), signal });
    if (found.status === 404) {
      if (await this.#create(signal)) this.#renewedAtMs = startMs;
      return;
    }
    if (found.status !== 200) throw refusal('read the lease', found);
    const { metadata, spec = {} } = Object(found.body) as LeaseObject;
    const isOurs = spec.holderIdentity === identity;
    if (!isOurs && !this.#hasRunOut(spec)) {
      this.#renewedAtMs = Number.NEGATIVE_INFINITY;
      return;
    }
    const transitions = (spec.leaseTransitions ?? 0) + (isOurs ? 0 : 1);
    const isWritten = await this.#write(
      metadata?.resourceVersion ?? '',
      { ...this.#held(), ...(isOurs ? {} : { acquireTime: this.#microTime() }), leaseTransitions: transitions },
      signal,
    );
    this.#renewedAtMs = isWritten ? startMs : Number.NEGATIVE_INFINITY;
  }

  #hasRunOut({ holderIdentity, renewTime }: NonNullable<LeaseObject['spec']>): boolean {
    if (!holderIdentity) return true;
    const current = `${holderIdentity} ${renewTime ?? ''}`;
    if (this.#seen?.renewTime !== current) this.#seen = { renewTime: current, atMs: this.#monotonicMs() };
    return this.#monotonicMs() - this.#seen.atMs > leaseSeconds * 1000;
  }

  async #create(signal: AbortSignal): Promise<boolean> {
    const { connection, namespace, name } = this.#options;
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, labels: { 'app.kubernetes.io/part-of': 'spotable' } },
      spec: { ...this.#held(), acquireTime: this.#microTime(), leaseTransitions: 0 },
    };
    const answer = await connection.request({
      method: 'POST',
      path: leasesPath(namespace),
      body,
      signal,
    });
    if (answer.status === 409) return false;
    if (answer.status !== 201) throw refusal('create the lease', answer);
    return true;
  }

  /** False if another replica was faster. */
  async #write(resourceVersion: string, spec: object, signal: AbortSignal): Promise<boolean> {
    const answer = await this.#options.connection.request({
      method: 'PATCH',
      path: this.#path(),
      contentType: mergePatch,
      body: { metadata: { resourceVersion }, spec },
      signal,
    });
    if (answer.status === 409) return false;
    if (answer.status !== 200) throw refusal('write the lease', answer);
    return true;
  }

  async #giveUp(): Promise<void> {
    const signal = AbortSignal.timeout(2000);
    const { connection, identity } = this.#options;
    const found = await connection.request({ method: 'GET', path: this.#path(), signal });
    const { metadata, spec } = Object(found.body) as LeaseObject;
    if (found.status !== 200 || spec?.holderIdentity !== identity) return;
    await this.#write(metadata?.resourceVersion ?? '', { holderIdentity: '' }, signal);
  }

  #held(): object {
    return { holderIdentity: this.#options.identity, leaseDurationSeconds: leaseSeconds, renewTime: this.#microTime() };
  }

  /** The API server refuses the three digits that toISOString() prints. */
  #microTime(): string {
    return new Date(this.#options.clock.now()).toISOString().replace('Z', '000Z');
  }

  #path(): string {
    const { namespace, name } = this.#options;
    return `${leasesPath(namespace)}/${encodeURIComponent(name)}`;
  }
}
