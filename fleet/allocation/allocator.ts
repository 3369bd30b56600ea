import { randomUUID } from 'node:crypto';
import type { Clock } from '../../shared/clock.ts';
import { KubeError } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { untilAborted } from '../../shared/until-aborted.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import { type GameServerPod, hasSession, isSpent, sessionOf } from '../cluster/game-server-pod.ts';
import { getPod, type PodWrite, patchPod } from '../cluster/pod-writer.ts';
import type { AllocationRequest } from './allocation-request.ts';
import { type Choice, chooseGameServer, isAllocatable } from './choose.ts';
import { claimSession, moveClaim } from './session-claim.ts';
import { allocatePatch, giveBackPatch, passOverPatch, reallocatePatch } from './session-patch.ts';
import type { Taken } from './taken.ts';

export interface Allocated {
  readonly kind: 'allocated';
  readonly pod: GameServerPod;
  readonly sessionId: string;
  /** Index of the matching selector; undefined if the session already had its game server. */
  readonly selector: number | undefined;
}

export type AllocationFailure =
  /** No game server matches. */
  | { readonly kind: 'none' }
  /** Other requests took every matching game server, again and again. */
  | { readonly kind: 'contention' }
  /** The session of that id had its game server and has ended. */
  | { readonly kind: 'ended' }
  /** The API server gave no answer in time: the caller may retry with the same session id. */
  | { readonly kind: 'unavailable'; readonly reason: string };

export type AllocationOutcome = Allocated | AllocationFailure;

export interface AllocatorOptions {
  readonly connection: KubeConnection;
  readonly view: Pick<ClusterView, 'pods' | 'nodes' | 'changed'>;
  readonly taken: Taken;
  /**
   * Whether the API server refuses to let a ReplicaSet delete allocated pods; otherwise each allocation waits until its
   * pod has left the ReplicaSet.
   */
  readonly isProtected: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly compareEquals: (a: GameServerPod, b: GameServerPod) => number;
  readonly random: () => number;
  readonly onConflict?: () => void;
}

const maxConflicts = 20;
const lookAgainMs = 20;
const retryMs = 200;
const giveBackMs = 5000;

/** Gives game servers to sessions. */
export class Allocator {
  readonly #options: AllocatorOptions;
  /** By session id: a repeat that arrives while the first request is under way waits for it. */
  readonly #underWay = new Map<string, Promise<AllocationOutcome>>();

  constructor(options: AllocatorOptions) {
    this.#options = options;
  }

  /** Rejects only because of a bug; the signal is the time limit. */
  async allocate(request: AllocationRequest, signal: AbortSignal): Promise<AllocationOutcome> {
    const { sessionId } = request;
    if (sessionId === undefined) return this.#attempt(request, signal);
    const underWay = this.#underWay.get(sessionId);
    if (underWay !== undefined) return underWay;
    const attempt = this.#attempt(request, signal).finally(() => this.#underWay.delete(sessionId));
    this.#underWay.set(sessionId, attempt);
    return attempt;
  }

  async #attempt(request: AllocationRequest, signal: AbortSignal): Promise<AllocationOutcome> {
    try {
      return await this.#tryAll(request, signal);
    } catch (error) {
      if (!(error instanceof KubeError) && !signal.aborted) throw error;
      return { kind: 'unavailable', reason: errorText(error) };
    }
  }

  async #tryAll(request: AllocationRequest, signal: AbortSignal): Promise<AllocationOutcome> {
    const known = await this.#sessionNow(request.sessionId, signal);
    if (known !== undefined) return known;
    const tried = new Set<string>();
    for (let conflicts = 0; conflicts < maxConflicts; conflicts++) {
      const choice = await this.#choose(request, tried, signal);
      if (choice === undefined) return { kind: conflicts > 0 ? 'contention' : 'none' };
      const outcome = await this.#takeChoice(request, choice, signal);
      if (outcome !== undefined) return outcome;
      this.#options.onConflict?.();
      tried.add(`${choice.pod.uid}@${choice.pod.resourceVersion}`);
    }
    return { kind: 'contention' };
  }

  /** The result for a session id that the watch already shows. */
  async #sessionNow(sessionId: string | undefined, signal: AbortSignal): Promise<AllocationOutcome | undefined> {
    if (sessionId === undefined) return undefined;
    for (const pod of this.#options.view.pods.values()) {
      if (sessionOf(pod) !== sessionId) continue;
      const isLive = hasSession(pod) && (await this.#isOutOfReach(pod, signal));
      return isLive ? { kind: 'allocated', pod, sessionId, selector: undefined } : { kind: 'ended' };
    }
    return undefined;
  }

  /** A matching game server that another request is about to take may become free again, so wait a moment for it. */
  async #choose(
    request: AllocationRequest,
    tried: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Choice | undefined> {
    const { view, taken, compareEquals, random, clock } = this.#options;
    let isHeldByOthers = false;
    const isExcluded = (pod: GameServerPod) => {
      if (tried.has(`${pod.uid}@${pod.resourceVersion}`)) return true;
      const isHeld = taken.has(pod);
      isHeldByOthers ||= isHeld;
      return isHeld;
    };
    for (let looks = 0; ; looks++) {
      isHeldByOthers = false;
      const { pods, nodes } = view;
      const choice = chooseGameServer(request, { pods, nodes, isExcluded, compareEquals, random });
      if (choice !== undefined || !isHeldByOthers || looks === maxConflicts) return choice;
      await untilAborted(Promise.race([view.changed(), clock.sleep(lookAgainMs, signal)]), signal);
    }
  }

  /** Undefined if another request took it first. */
  async #takeChoice(
    request: AllocationRequest,
    { pod, selector }: Choice,
    signal: AbortSignal,
  ): Promise<AllocationOutcome | undefined> {
    const { taken, view } = this.#options;
    if (sessionOf(pod) !== undefined) return this.#reallocate(request, pod, selector, signal);
    const release = taken.take(pod);
    let isKept = false;
    try {
      const { sessionId } = request;
      const claimed = sessionId === undefined ? pod : await this.#claim(sessionId, pod, signal);
      if (claimed === undefined) return undefined;
      if (claimed.uid !== pod.uid) return await this.#join(request, claimed, signal);
      const id = sessionId ?? randomUUID();
      // Keep the pod even without an answer: the session may be ours.
      isKept = true;
      const written = await this.#write(pod, id, request, signal);
      isKept = written.kind === 'written';
      if (written.kind !== 'written') return undefined;
      if (!(await this.#isSafe(written.pod, request, signal))) return undefined;
      const node = view.nodes.get(pod.nodeName ?? '');
      if (node === undefined || node.unfit !== undefined) return await this.#undo(written.pod, signal);
      return { kind: 'allocated', pod: written.pod, sessionId: id, selector };
    } finally {
      if (!isKept) release();
    }
  }

  /**
   * Whether no ReplicaSet can delete the pod. If that is not known in time, takes back a session whose caller gave no
   * id.
   */
  async #isSafe(pod: GameServerPod, { sessionId }: AllocationRequest, signal: AbortSignal): Promise<boolean> {
    try {
      return !pod.isDeleting && (await this.#isOutOfReach(pod, signal));
    } catch (error) {
      if (sessionId === undefined)
        await patchPod(this.#options.connection, pod, giveBackPatch(pod), AbortSignal.timeout(giveBackMs)).catch(
          () => {},
        );
      throw error;
    }
  }

  /** The pod for the session: ours, or one that was chosen before. Undefined: look again. */
  async #claim(sessionId: string, pod: GameServerPod, signal: AbortSignal): Promise<GameServerPod | undefined> {
    const { connection, view, clock } = this.#options;
    const claim = await claimSession(connection, sessionId, pod, signal);
    if (claim.podUid === pod.uid) return pod;
    const named = { namespace: pod.namespace, name: claim.podName };
    const chosen = await getPod(connection, named, signal);
    if (chosen?.uid === claim.podUid) {
      if (sessionOf(chosen) === sessionId) return chosen;
      if (sessionOf(chosen) === undefined) {
        if (isAllocatable(chosen, view.nodes)) return chosen;
        // Another allocator that chose it may be about to write. Make that write fail before the session gets another
        // pod.
        const marked = await patchPod(connection, chosen, passOverPatch(chosen, clock.now()), signal);
        if (marked.kind === 'conflict') return undefined;
      }
    }
    return (await moveClaim(connection, sessionId, claim, pod, signal)) ? pod : undefined;
  }

  /**
   * Another replica, or an earlier attempt, has chosen this pod for the session. It does not matter which of us writes
   * first, because both write the same.
   */
  async #join(
    request: AllocationRequest,
    pod: GameServerPod,
    signal: AbortSignal,
  ): Promise<AllocationOutcome | undefined> {
    const sessionId = request.sessionId ?? '';
    if (sessionOf(pod) === sessionId)
      return isSpent(pod) || pod.isDeleting
        ? { kind: 'ended' }
        : { kind: 'allocated', pod, sessionId, selector: undefined };
    const written = await this.#write(pod, sessionId, request, signal);
    if (written.kind !== 'written' || written.pod.isDeleting) return undefined;
    if (!(await this.#isOutOfReach(written.pod, signal))) return undefined;
    return { kind: 'allocated', pod: written.pod, sessionId, selector: undefined };
  }

  /** Sends the PATCH, and sends it again without an answer: choosing another pod could give the session two. */
  async #write(
    pod: GameServerPod,
    sessionId: string,
    request: AllocationRequest,
    signal: AbortSignal,
  ): Promise<PodWrite> {
    const { connection, clock } = this.#options;
    const patch = allocatePatch(pod, sessionId, request, clock.now());
    for (let attempts = 1; ; attempts++) {
      try {
        const written = await patchPod(connection, pod, patch, signal);
        if (written.kind !== 'conflict') return written;
        // The conflicting write may be our own earlier attempt, or the other replica's for the same session.
        if (attempts === 1 && request.sessionId === undefined) return written;
        const now = await getPod(connection, pod, signal);
        return now?.uid === pod.uid && sessionOf(now) === sessionId ? { kind: 'written', pod: now } : written;
      } catch (error) {
        if (signal.aborted || !isWorthAnother(error)) throw error;
        await clock.sleep(retryMs, signal);
      }
    }
  }

  async #reallocate(
    request: AllocationRequest,
    pod: GameServerPod,
    selector: number,
    signal: AbortSignal,
  ): Promise<AllocationOutcome | undefined> {
    const { connection, clock } = this.#options;
    const written = await patchPod(connection, pod, reallocatePatch(pod, request, clock.now()), signal);
    if (written.kind !== 'written' || !hasSession(written.pod)) return undefined;
    return { kind: 'allocated', pod: written.pod, sessionId: sessionOf(written.pod) ?? '', selector };
  }

  /** Whether no ReplicaSet can delete the pod any more: by policy, or because its ReplicaSet has let go of it. */
  async #isOutOfReach(pod: GameServerPod, signal: AbortSignal): Promise<boolean> {
    const { isProtected, view } = this.#options;
    if (isProtected()) return true;
    for (;;) {
      const change = view.changed();
      const seen = view.pods.get(pod.uid);
      const isNewer = seen !== undefined && sessionOf(seen) === sessionOf(pod);
      if (isNewer && seen.isDeleting) return false;
      if (isNewer && !seen.hasController) return true;
      // The watch has shown the pod, because otherwise it could not have been chosen. Gone from it means deleted.
      if (seen === undefined) return false;
      await untilAborted(change, signal);
    }
  }

  /** Takes the session back, because an interruption of its node was announced in the meantime. */
  async #undo(pod: GameServerPod, signal: AbortSignal): Promise<undefined> {
    const { connection, log } = this.#options;
    log.warn({ pod: pod.name, node: pod.nodeName }, 'Allocation undone: the node is going');
    await patchPod(connection, pod, giveBackPatch(pod), signal);
    return undefined;
  }
}

/** No answer, or an answer that asks for a retry. */
function isWorthAnother(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  return error.status === undefined || error.status === 429 || error.status >= 500;
}
