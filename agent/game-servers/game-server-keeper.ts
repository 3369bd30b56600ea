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
  /** While true, nothing is written, because more urgent calls go first. */
  readonly mustWait: () => boolean;
  readonly monotonicMs?: () => number;
}

/** Minimum time between two calls for the same pod. */
const pauseMs = 2000;
/** Maximum number of concurrent calls: all hundred game servers of a node may have changed. */
const maxCalls = 4;
/** A wrapper that lost its connection, or has not found a new agent yet, reconnects within this time. */
const comeBackMs = 15_000;
const lookAgainMs = 1000;
const refusedMs = 60_000;
const maxRefusals = 8;

interface Written {
  readonly atMs: number;
  /** The pod's resourceVersion before the write. The watch shows the result of the write only in a later version. */
  readonly resourceVersion: string;
  readonly isRefused: boolean;
}

/** Reports each game server's state on its pod, and each pod's session to its wrapper. */
export class GameServerKeeper {
  readonly #options: GameServerKeeperOptions;
  readonly #monotonicMs: () => number;
  readonly #written = new Map<string, Written>();
  readonly #seenAtMs = new Map<string, number>();
  readonly #told = new WeakMap<VerifiedWrapper['peer'], SessionMessage>();
  readonly #underWay = new Set<string>();
  /** Reasons for which writes were refused, each logged once. */
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

  /** A write to a Unix socket: it needs no call and never blocks. */
  #tell({ gameServer }: PodView, { peer, hello }: VerifiedWrapper): void {
    const message = gameServer && sessionMessageOf(gameServer, hello.game_server_id);
    if (message === undefined || isDeepStrictEqual(message, this.#told.get(peer))) return;
    this.#told.set(peer, message);
    peer.send(message);
  }

  #report(pod: PodView, wrapper: VerifiedWrapper | undefined, nowMs: number, signal: AbortSignal): void {
    const { uid, gameServer } = pod;
    if (gameServer === undefined) return;
    if (!this.#seenAtMs.has(uid) || wrapper !== undefined) this.#seenAtMs.set(uid, nowMs);
    const silentMs = nowMs - (this.#seenAtMs.get(uid) ?? nowMs);
    // A wrapper that ended on purpose or is about to reconnect is not lost yet. A pod that we never reported as ready
    // is left alone.
    if (wrapper === undefined && (silentMs < comeBackMs || gameServer.ready !== 'True' || pod.goneByMs !== undefined))
      return;
    const written = this.#written.get(uid);
    if (written !== undefined && nowMs - written.atMs < (written.isRefused ? refusedMs : pauseMs)) return;
    if (this.#underWay.has(uid) || this.#underWay.size >= maxCalls) return;
    const patch = reportPatch(gameServer, wrapper, this.#options.clock.now());
    if (patch === undefined) return;
    // The call was answered, but the watch does not show the result yet.
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
        // The uid prevents a new pod of the same name from being reported as ready.
        body: { metadata: { ...metadata, uid }, ...rest },
        signal,
      });
      if (answer.status === 403) this.#refuse(uid, name, refusal('patch pod status', answer).message);
      else if (answer.status !== 200 && answer.status !== 404 && answer.status !== 409)
        throw refusal(`patch status of pod ${namespace}/${name}`, answer);
    } catch (error) {
      // A later pass writes again if the difference remains.
      this.#written.delete(uid);
      if (!signal.aborted) log.warn({ pod: name, err: errorText(error) }, 'Cannot write game server state to its pod');
    }
  }

  /** A missing right or a policy refused the write. It is retried occasionally, because either may be fixed. */
  #refuse(uid: string, pod: string, reason: string): void {
    const written = this.#written.get(uid);
    if (written !== undefined) this.#written.set(uid, { ...written, isRefused: true });
    // The reason contains the pod's name.
    const cause = reason.replaceAll(pod, 'POD');
    if (this.#refusals.has(cause) || this.#refusals.size >= maxRefusals) return;
    this.#refusals.add(cause);
    this.#options.log.warn({ pod, err: reason }, 'Cannot write game server state to its pod');
  }

  #forget(there: ReadonlySet<string>): void {
    for (const known of [this.#written, this.#seenAtMs])
      for (const uid of known.keys()) if (!there.has(uid)) known.delete(uid);
  }
}
