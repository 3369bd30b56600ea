import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../shared/clock.ts';
import { refusal } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { SessionMessage } from '../../shared/link/link-message.ts';
import { errorText, type Log } from '../../shared/log.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { PodView } from '../drain/pod.ts';
import type { LinkServer, VerifiedWrapper } from '../link/link-server.ts';
import { reportPatch } from './pod-report.ts';
import { sessionMessageOf } from './session-message.ts';

export interface GameServerKeeperOptions {
  readonly connection: KubeConnection;
  readonly cluster: Pick<Cluster, 'pods' | 'changed'>;
  readonly link: Pick<LinkServer, 'verified' | 'changed'>;
  readonly clock: Clock;
  readonly log: Log;
  /** While this says yes, nothing is written: the calls are needed for what cannot wait. */
  readonly mustWait: () => boolean;
  readonly monotonicMs?: () => number;
}

/** For each pod at most one call in so long. */
const pauseMs = 2000;
/** Calls at the same time; a node has a hundred game servers that all may say something new. */
const maxCalls = 4;
/** A wrapper that lost its connection, or has not found a new agent yet, comes back within this. */
const comeBackMs = 15_000;
const lookAgainMs = 1000;
const refusedMs = 60_000;
const maxRefusals = 8;

interface Written {
  readonly atMs: number;
  /** Of the pod as it was then: until the watch shows another one, what was written is not there to be seen. */
  readonly resourceVersion: string;
  readonly isRefused: boolean;
}

/**
 * Stands between pods and wrappers: a pod says what its game server says, and a wrapper hears what session its pod has.
 */
export class GameServerKeeper {
  readonly #options: GameServerKeeperOptions;
  readonly #monotonicMs: () => number;
  readonly #written = new Map<string, Written>();
  readonly #seenAtMs = new Map<string, number>();
  readonly #told = new WeakMap<VerifiedWrapper['peer'], SessionMessage>();
  readonly #underWay = new Set<string>();
  /** Why it was not let, each said once. */
  readonly #refusals = new Set<string>();

  constructor(options: GameServerKeeperOptions) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /** Runs until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { cluster, link, clock } = this.#options;
    while (!signal.aborted) {
      const change = Promise.race([cluster.changed(), link.changed()]);
      this.#look(signal);
      await Promise.race([change, clock.sleep(lookAgainMs, signal).catch(() => {})]);
    }
  }

  #look(signal: AbortSignal): void {
    const { cluster, link, mustWait } = this.#options;
    const pods = cluster.pods();
    if (pods === undefined) return;
    const wrappers = link.verified();
    const nowMs = this.#monotonicMs();
    for (const pod of pods) {
      if (pod.gameServer === undefined || pod.isFinished) continue;
      const wrapper = wrappers.get(pod.uid);
      if (wrapper !== undefined) this.#tell(pod, wrapper);
      if (!mustWait()) this.#report(pod, wrapper, nowMs, signal);
    }
    this.#forget(new Set(pods.map(({ uid }) => uid)));
  }

  /** A write to a Unix socket: it costs no call, and waits for nothing. */
  #tell({ gameServer }: PodView, { peer }: VerifiedWrapper): void {
    const message = gameServer && sessionMessageOf(gameServer);
    if (message === undefined || isDeepStrictEqual(message, this.#told.get(peer))) return;
    this.#told.set(peer, message);
    peer.send(message);
  }

  #report(pod: PodView, wrapper: VerifiedWrapper | undefined, nowMs: number, signal: AbortSignal): void {
    const { uid, gameServer } = pod;
    if (gameServer === undefined) return;
    if (!this.#seenAtMs.has(uid) || wrapper !== undefined) this.#seenAtMs.set(uid, nowMs);
    const silentMs = nowMs - (this.#seenAtMs.get(uid) ?? nowMs);
    // Whoever ended on purpose, or is about to come back, is not lost yet; a pod that we never vouched for is none of
    // ours.
    if (wrapper === undefined && (silentMs < comeBackMs || gameServer.ready !== 'True' || pod.goneByMs !== undefined))
      return;
    const written = this.#written.get(uid);
    if (written !== undefined && nowMs - written.atMs < (written.isRefused ? refusedMs : pauseMs)) return;
    if (this.#underWay.has(uid) || this.#underWay.size >= maxCalls) return;
    const patch = reportPatch(gameServer, wrapper, this.#options.clock.now());
    if (patch === undefined) return;
    // The answer has come, and the watch not yet.
    if (written?.resourceVersion === gameServer.resourceVersion && nowMs - written.atMs < 5 * pauseMs) return;
    this.#written.set(uid, { atMs: nowMs, resourceVersion: gameServer.resourceVersion, isRefused: false });
    this.#underWay.add(uid);
    void this.#write(pod, patch, signal).finally(() => this.#underWay.delete(uid));
  }

  async #write({ namespace, name, uid }: PodView, patch: object, signal: AbortSignal): Promise<void> {
    const { connection, log } = this.#options;
    const { metadata, ...rest } = patch as { metadata?: object };
    try {
      const answer = await connection.request({
        method: 'PATCH',
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/status`,
        contentType: 'application/strategic-merge-patch+json',
        // The uid keeps a new pod of the same name from being called ready.
        body: { metadata: { ...metadata, uid }, ...rest },
        signal,
      });
      if (answer.status === 403) this.#refuse(uid, name, refusal('patch pod status', answer).message);
      else if (answer.status !== 200 && answer.status !== 404 && answer.status !== 409)
        throw refusal(`patch status of pod ${namespace}/${name}`, answer);
    } catch (error) {
      // What is still so will be written again.
      this.#written.delete(uid);
      if (!signal.aborted) log.warn({ pod: name, err: errorText(error) }, 'Game server not reported on its pod');
    }
  }

  /** For the want of a right, or by a policy: it is tried again now and then, because either may be mended. */
  #refuse(uid: string, pod: string, reason: string): void {
    const written = this.#written.get(uid);
    if (written !== undefined) this.#written.set(uid, { ...written, isRefused: true });
    // The pod's name stands in it.
    const cause = reason.replaceAll(pod, 'POD');
    if (this.#refusals.has(cause) || this.#refusals.size >= maxRefusals) return;
    this.#refusals.add(cause);
    this.#options.log.warn({ pod, err: reason }, 'Game server not reported on its pod');
  }

  #forget(there: ReadonlySet<string>): void {
    for (const known of [this.#written, this.#seenAtMs])
      for (const uid of known.keys()) if (!there.has(uid)) known.delete(uid);
  }
}
