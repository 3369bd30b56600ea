import type { Clock } from '../shared/clock.ts';
import type { NodeState } from '../shared/events/event.ts';
import { type Interruption, instant } from '../shared/interruption/interruption.ts';
import { errorText, type Log } from '../shared/log.ts';
import { steadyClock } from '../shared/steady-clock.ts';
import type { Cluster } from './cluster/cluster.ts';
import { Drain, type DrainParts, type DrainScope } from './drain/drain.ts';
import { podName } from './drain/pod.ts';
import type { PlannedInterruption } from './interruption/policy.ts';
import type { LinkServer } from './link/link-server.ts';
import type { NodeKeeper } from './node-state/node-keeper.ts';
import { hasMark } from './node-state/node-mark.ts';
import type { InterruptionJournal } from './reporting/interruption-journal.ts';

export interface ResponseParts extends Pick<DrainParts, 'selection' | 'graceOverrideSeconds'> {
  readonly cluster: Cluster;
  readonly keeper: Pick<NodeKeeper, 'setDesired' | 'isBusy' | 'tryNow'>;
  readonly link: Pick<LinkServer, 'announce' | 'cancel' | 'occupancies'>;
  /** Publishes what became of this node. */
  readonly publishNode: (state: NodeState, interruption: Interruption) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly safetyMarginMs: number;
  readonly agentUid: string | undefined;
  /** Whether pods that a budget holds back may be deleted. */
  readonly mayDelete: () => boolean;
  readonly excludeFromLoadBalancers: boolean;
  /** Whether a drained node is declared out of service. */
  readonly marksOutOfService: boolean;
  /** Whether a node counts as drained only when its volumes are detached too. */
  readonly waitsForVolumes: boolean;
  /** Whether the mark is set again where somebody else takes it off. */
  readonly reassertsMark: boolean;
}

/**
 * With a very short notice the margin gives way: it takes at most this share of what was left when the notice was seen.
 */
const maxMarginShare = 1 / 4;
/** How often the end is looked at: the deadline may move, and clocks may step. */
const watchEndMs = 250;

/** How often it is looked for game servers that have become idle. */
const lookForIdleMs = 1000;

/**
 * A cordon takes one call, a few milliseconds; an API server that cannot take it in this time shall not hold up the
 * drain.
 */
const cordonHeadStartMs = 250;

/**
 * The end is judged so long before the deadline. From the end of a container to the end of its pod a kubelet takes up
 * to 4.5 s, and the report has to leave the instance.
 */
const judgeLeadMs = 500;

/** How often it is looked whether the node still bears the mark. */
const markAgainMs = 1000;

/**
 * Everything that is under way because of one interruption. Its parts run beside each other, each with limits of its
 * own, and none waits for another: an API server that is away delays no game's warning.
 */
export class Response {
  readonly #parts: ResponseParts;
  readonly #journal: InterruptionJournal;
  readonly #signal: AbortSignal;
  readonly #stopped = new AbortController();
  #interruption: PlannedInterruption;
  #drain: { readonly run: Drain; readonly scope: DrainScope; readonly abort: AbortController } | undefined;
  #isDrained = false;
  #isProving = false;
  #hasProofFailed = false;
  #hasFailedToList = false;
  #isSaidDrained = false;
  #headStartUntilMs = 0;
  /** Uid of the node object that bears our mark. */
  #markedUid: string | undefined;

  constructor(
    parts: ResponseParts,
    journal: InterruptionJournal,
    interruption: PlannedInterruption,
    signal: AbortSignal,
  ) {
    this.#parts = { ...parts, clock: steadyClock(parts.clock, () => performance.now()) };
    this.#journal = journal;
    this.#interruption = interruption;
    this.#signal = AbortSignal.any([signal, this.#stopped.signal]);
  }

  get journal(): InterruptionJournal {
    return this.#journal;
  }

  /** Whether a pod still waits to be asked. What is less pressing waits for it. */
  get isAsking(): boolean {
    return this.#drain?.run.isAsking === true;
  }

  /** Whether pods are still to go by an instant. */
  get isBusy(): boolean {
    return this.#drain?.scope === 'all' && !this.#isDrained;
  }

  /** Whether all that had to go by an instant has gone, or its time is up. */
  get isOver(): boolean {
    return this.#drain?.scope === 'all' && (this.#isDrained || this.#journal.isClosed);
  }

  begin(isResumed: boolean): void {
    // Wrappers first: the link costs no request, so games hear of it whatever becomes of the rest.
    this.#tellWrappers();
    this.#mark();
    this.#startDrain();
    this.#publish();
    this.#journal.begun(isResumed);
    void this.#keepMark();
  }

  /** The same interruption with another deadline, or one that outranks it in its place. What is under way goes on. */
  change(interruption: PlannedInterruption): void {
    const before = this.#interruption;
    this.#interruption = interruption;
    this.#journal.changed(interruption);
    // Who was told to go, and need not any more, can only be told so by taking the old word back.
    const isOther = before.id !== interruption.id;
    const isReprieve = before.response === 'drain' && interruption.response !== 'drain';
    if (isReprieve && !isOther) this.#parts.link.cancel(before);
    this.#tellWrappers();
    // After the new word, so that a game that has to go anyway is not told for a moment that it may stay.
    if (isOther) this.#parts.link.cancel(before);
    this.#mark();
    if (this.#drain?.scope !== this.#scope()) {
      this.#stopDrain();
      this.#startDrain();
    } else this.#drain?.run.moveEnd(this.#endByMs() ?? Number.POSITIVE_INFINITY);
    this.#publish();
  }

  /** Calls it off: wrappers are told, the node is given back as it was. */
  cancel(): void {
    const { link, publishNode, keeper, log, cluster } = this.#parts;
    link.cancel(this.#interruption);
    this.stop();
    this.#journal.cancelled();
    publishNode('recovered', this.#interruption);
    void keeper.setDesired({ kind: 'unmarked' }).then((outcome) => {
      if (outcome !== 'done') return;
      const node = cluster.node();
      const isCordoned = node?.isCordoned === true;
      log.info(
        { node: node?.name },
        isCordoned ? "Interruption mark removed: somebody else's cordon stays" : 'Node uncordoned',
      );
    });
  }

  /** Ends all that is under way, and leaves the node as it is: the annotation says the rest to the next agent. */
  stop(): void {
    this.#stopped.abort();
    this.#stopDrain();
  }

  #tellWrappers(): void {
    const { link, log } = this.#parts;
    const { deadlineMs, ...interruption } = this.#interruption;
    // Told without an instant, a wrapper only takes note: nobody has to go while the node is merely held or cordoned.
    const isLeaving = interruption.response === 'drain';
    const announced = link.announce(
      { ...interruption, deadlineMs: isLeaving ? deadlineMs : undefined },
      isLeaving ? this.#endByMs() : undefined,
    );
    log.info({ told: announced.told }, 'Wrappers told');
    this.#journal.told(announced);
  }

  #mark(): void {
    const { keeper, excludeFromLoadBalancers, log, cluster } = this.#parts;
    const interruption = this.#interruption;
    const isOutOfService = this.#isOutOfService();
    this.#headStartUntilMs = performance.now() + cordonHeadStartMs;
    void keeper
      .setDesired({ kind: 'marked', interruption, options: { excludeFromLoadBalancers, isOutOfService } })
      .then((outcome) => {
        if (outcome !== 'done') return;
        this.#markedUid = cluster.node()?.uid;
        if (isOutOfService) return;
        log.info({ node: cluster.node()?.name, kind: interruption.kind }, 'Node cordoned');
        this.#journal.cordoned();
      });
  }

  /**
   * Kubernetes takes the pods of such a node for dead: it must be drained, be about to go, and run nothing that was to
   * stay.
   */
  #isOutOfService(): boolean {
    const { marksOutOfService, log } = this.#parts;
    const { action, kind } = this.#interruption;
    const isTaken = (action === 'terminate' || action === 'stop') && kind !== 'rehearsal';
    if (!marksOutOfService || !this.#isDrained || !isTaken) return false;
    const kept = this.#drain?.run.keptRunning() ?? [];
    if (kept.length > 0)
      log.warn({ kept }, 'Node not declared out of service: pods that the drain leaves alone run on it');
    return kept.length === 0;
  }

  /** A node object that was deleted and created again bears no mark, and one may be taken off by somebody else. */
  async #keepMark(): Promise<void> {
    const { cluster, clock, log, keeper, reassertsMark } = this.#parts;
    const signal = this.#signal;
    while (!signal.aborted) {
      await clock.sleep(markAgainMs, signal).catch(() => {});
      const node = cluster.node();
      if (signal.aborted || node === undefined || keeper.isBusy) continue;
      const isOther = node.uid !== this.#markedUid;
      if (!isOther && !(reassertsMark && !hasMark(node, this.#interruption))) continue;
      log.warn(
        { node: node.name },
        isOther ? 'Node object is a new one: marking it' : 'Mark was removed from the node: setting it again',
      );
      this.#mark();
    }
  }

  #publish(): void {
    const { response } = this.#interruption;
    this.#parts.publishNode(response === 'drain' ? 'interrupted' : 'at-risk', this.#interruption);
  }

  #startDrain(): void {
    const { cluster, clock, log, agentUid, mayDelete, link, keeper, selection, graceOverrideSeconds } = this.#parts;
    const scope = this.#scope();
    if (scope === undefined) return;
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#signal, abort.signal]);
    const parts: DrainParts = {
      ...{ cluster, clock, log, agentUid, mayDelete, scope, selection, graceOverrideSeconds },
      listener: this.#journal,
      occupancies: () => link.occupancies(),
      cordon: () => ({
        isCordoned: cluster.node()?.isCordoned === true,
        isTrying: keeper.isBusy,
        headStartMs: this.#headStartUntilMs - performance.now(),
      }),
      onAnswering: () => {
        this.#headStartUntilMs = performance.now() + cordonHeadStartMs;
        keeper.tryNow();
      },
    };
    const run = new Drain(parts, this.#endByMs() ?? Number.POSITIVE_INFINITY);
    this.#drain = { run, scope, abort };
    if (scope === 'idle') void this.#drainIdle(run, signal);
    else {
      // The watch may have fallen silent before the notice: another one shows the pods that come from now on, a list
      // those that have come meanwhile. Nobody waits for either.
      cluster.doubt('pods');
      const listed = cluster.listPods(signal).then(
        () => true,
        () => false,
      );
      void this.#drainUntilStopped(run, listed, signal);
      void this.#closeAtEnd(run, signal);
    }
  }

  /**
   * What is to be drained now; undefined: nothing. Maintenance that is held is days away: its idle servers may still
   * find players.
   */
  #scope(): DrainScope | undefined {
    const { response, kind, deadlineMs } = this.#interruption;
    if (response === 'drain' && deadlineMs !== undefined) return 'all';
    return response === 'hold' && kind === 'rebalance' ? 'idle' : undefined;
  }

  #stopDrain(): void {
    this.#drain?.abort.abort();
    this.#drain = undefined;
    this.#isDrained = false;
    this.#isSaidDrained = false;
  }

  /** While the node is at risk: those on which nobody plays begin anew elsewhere, before anybody does. */
  async #drainIdle(run: Drain, signal: AbortSignal): Promise<void> {
    const { cluster, clock } = this.#parts;
    while (await run.run(signal))
      await Promise.race([cluster.changed(), clock.sleep(lookForIdleMs, signal).catch(() => {})]);
  }

  /** `listed` resolves with whether the pods could be listed at the notice. */
  async #drainUntilStopped(run: Drain, listed: Promise<boolean>, signal: AbortSignal): Promise<void> {
    const { cluster, clock } = this.#parts;
    while (!signal.aborted) {
      if (!(await run.run(signal))) return;
      // Pods that come meanwhile are moved at once, so nothing here waits for the proof.
      if (!this.#isDrained && !this.#isProving) {
        // Where there was nothing to move, the list made at the notice says so already.
        const isFirst = !run.hasMoved && !this.#hasProofFailed;
        void this.#prove(run, isFirst ? listed : this.#refresh(signal), signal);
      }
      // A pod may still come: one that tolerates the taint, or that was bound in the same instant.
      await Promise.race([cluster.changed(), clock.sleep(1000, signal).catch(() => {})]);
    }
  }

  /**
   * The node is called drained only when a list says so that was made after the notice: a watch may have missed pods.
   */
  async #prove(run: Drain, proof: Promise<boolean>, signal: AbortSignal): Promise<void> {
    const { log, publishNode, marksOutOfService } = this.#parts;
    this.#isProving = true;
    const isListed = await proof;
    this.#isProving = false;
    this.#hasProofFailed ||= !isListed;
    if (signal.aborted || !isListed || !this.#isEmpty(run) || this.#volumesLeft().length > 0) return;
    this.#isDrained = true;
    log.info(this.#journal.drainedFields(), 'Node drained');
    if (!this.#isSaidDrained) publishNode('drained', this.#interruption);
    this.#isSaidDrained = true;
    this.#journal.close('drained');
    if (marksOutOfService) this.#mark();
  }

  async #refresh(signal: AbortSignal): Promise<boolean> {
    const { cluster, log } = this.#parts;
    try {
      await cluster.listPods(signal);
      return true;
    } catch (error) {
      if (!signal.aborted && !this.#hasFailedToList)
        log.warn({ err: errorText(error) }, 'Cannot list pods: drained or not is not known');
      this.#hasFailedToList = true;
      return false;
    }
  }

  /** A node of which neither object nor pods were ever seen is none that could be drained: its name may be wrong. */
  #isEmpty(run: Drain): boolean {
    const isSeen = this.#parts.cluster.node() !== undefined || run.hasSeenPods;
    return isSeen && run.left()?.length === 0;
  }

  #volumesLeft(): readonly string[] {
    const { waitsForVolumes, cluster } = this.#parts;
    return waitsForVolumes ? (cluster.node()?.volumesAttached ?? []) : [];
  }

  /** The account is closed while the instance still lives, complete or not. */
  async #closeAtEnd(run: Drain, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    let isListed: boolean | undefined;
    while (!signal.aborted && !this.#journal.isClosed) {
      const nowMs = clock.now();
      const { deadlineMs = Number.POSITIVE_INFINITY } = this.#interruption;
      const endByMs = this.#endByMs() ?? Number.POSITIVE_INFINITY;
      if (nowMs >= endByMs && isListed === undefined) {
        isListed = false;
        void this.#refresh(signal).then((isFresh) => {
          isListed = isFresh;
        });
      }
      if (nowMs >= Math.max(endByMs, deadlineMs - judgeLeadMs)) this.#judge(run, isListed === true);
      await clock.sleep(watchEndMs, signal).catch(() => {});
    }
  }

  /**
   * Says how it ended, from what runs now: a pod whose containers, or whose game, have ended is only listed a little
   * longer.
   */
  #judge(run: Drain, isListed: boolean): void {
    const { log, publishNode, cluster } = this.#parts;
    const left = run.left() ?? [];
    for (const pod of left)
      if (pod.hasEnded || (pod.goneByMs !== undefined && this.#journal.hasGameEnded(pod.uid)))
        this.#journal.onEnded(pod);
    const running = left.filter((pod) => !this.#journal.hasEnded(pod.uid)).map(podName);
    const volumes = this.#volumesLeft();
    this.#journal.volumesLeft(volumes);
    if (running.length > 0 || volumes.length > 0) {
      log.warn({ left: running, volumes }, 'Pods left at the end of the notice');
      this.#journal.close('incomplete');
    } else if (isListed && (cluster.node() !== undefined || run.hasSeenPods)) {
      publishNode('drained', this.#interruption);
      this.#isSaidDrained = true;
      this.#journal.close('drained');
    } else {
      log.error(
        { node: cluster.node()?.name ?? null },
        'Pods of the node could not be listed: whether it is drained is not known',
      );
      this.#journal.close('unknown');
    }
  }

  /** By when every pod has ended; undefined where the notice names no instant. */
  #endByMs(): number | undefined {
    const { deadlineMs, firstSeenMs } = this.#interruption;
    if (deadlineMs === undefined) return undefined;
    const share = Math.max(0, deadlineMs - firstSeenMs) * maxMarginShare;
    return deadlineMs - Math.min(this.#parts.safetyMarginMs, share);
  }
}

export function interruptionFields({
  id,
  kind,
  action,
  response,
  deadlineMs,
  firstSeenMs,
}: PlannedInterruption): object {
  return {
    id,
    kind,
    action,
    response,
    deadline: deadlineMs === undefined ? null : instant(deadlineMs),
    leftMs: deadlineMs === undefined ? null : deadlineMs - firstSeenMs,
  };
}
