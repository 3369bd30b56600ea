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
  /** Publishes a new state of this node. */
  readonly publishNode: (state: NodeState, interruption: Interruption) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly safetyMarginMs: number;
  readonly agentUid: string | undefined;
  /** Whether to delete pods that a budget protects. */
  readonly mayDelete: () => boolean;
  readonly excludeFromLoadBalancers: boolean;
  /** Whether to declare a drained node out of service. */
  readonly marksOutOfService: boolean;
  /** Whether a node counts as drained only after its volumes are detached. */
  readonly waitsForVolumes: boolean;
  /** Whether to restore a mark that someone else removed. */
  readonly reassertsMark: boolean;
}

/**
 * Maximum share of the time left at the notice that the safety margin may take. It matters only for a very short
 * notice.
 */
const maxMarginShare = 1 / 4;
/** Interval of checks for the end: the deadline may move, and clocks may step. */
const watchEndMs = 250;

/** Interval of checks for game servers that have become idle. */
const lookForIdleMs = 1000;

/** A cordon takes one call of a few milliseconds. If the API server takes longer than this, the drain goes ahead. */
const cordonHeadStartMs = 250;

/**
 * The outcome is decided this long before the deadline. A kubelet takes up to 4.5 s from the end of a container to the
 * end of its pod, and the report has to leave the instance.
 */
const judgeLeadMs = 500;

/** Interval of checks whether the node still has the mark. */
const markAgainMs = 1000;

/**
 * Everything that one interruption sets in motion. The parts run concurrently, each with its own limits, and none waits
 * for another: an unreachable API server delays no game's warning.
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
  /** Uid of the node object that has our mark. */
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

  /** Whether a pod still waits for its call. Less urgent work waits meanwhile. */
  get isAsking(): boolean {
    return this.#drain?.run.isAsking === true;
  }

  /** Whether a drain with a deadline is still under way. */
  get isBusy(): boolean {
    return this.#drain?.scope === 'all' && !this.#isDrained;
  }

  /** Whether a drain with a deadline is complete, or its time is up. */
  get isOver(): boolean {
    return this.#drain?.scope === 'all' && (this.#isDrained || this.#journal.isClosed);
  }

  begin(isResumed: boolean): void {
    // Wrappers first: the link needs no request, so games hear of the interruption whatever happens to the rest.
    this.#tellWrappers();
    this.#mark();
    this.#startDrain();
    this.#publish();
    this.#journal.begun(isResumed);
    void this.#keepMark();
  }

  /** The same interruption with a new deadline, or one that outranks and replaces it. Work in progress continues. */
  change(interruption: PlannedInterruption): void {
    const before = this.#interruption;
    this.#interruption = interruption;
    this.#journal.changed(interruption);
    // Wrappers have no message for "you may stay". A reprieve therefore cancels the old announcement.
    const isOther = before.id !== interruption.id;
    const isReprieve = before.response === 'drain' && interruption.response !== 'drain';
    if (isReprieve && !isOther) this.#parts.link.cancel(before);
    this.#tellWrappers();
    // Only after the new announcement, so that a game that has to go anyway is never told that it may stay.
    if (isOther) this.#parts.link.cancel(before);
    this.#mark();
    if (this.#drain?.scope !== this.#scope()) {
      this.#stopDrain();
      this.#startDrain();
    } else this.#drain?.run.moveEnd(this.#endByMs() ?? Number.POSITIVE_INFINITY);
    this.#publish();
  }

  /** Cancels the response: wrappers are told, and the node is restored. */
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
        isCordoned ? 'Interruption mark removed: node stays cordoned by someone else' : 'Node uncordoned',
      );
    });
  }

  /** Ends all work and leaves the node as it is. The annotation tells the next agent. */
  stop(): void {
    this.#stopped.abort();
    this.#stopDrain();
  }

  #tellWrappers(): void {
    const { link, log } = this.#parts;
    const { deadlineMs, ...interruption } = this.#interruption;
    // Without a deadline a wrapper only takes note: no game has to go while the node is merely held or cordoned.
    const isLeaving = interruption.response === 'drain';
    const announced = link.announce(
      { ...interruption, deadlineMs: isLeaving ? deadlineMs : undefined },
      isLeaving ? this.#endByMs() : undefined,
    );
    log.info({ told: announced.told }, 'Wrappers notified');
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
   * Kubernetes treats the pods of such a node as dead. So the node must be drained and about to go, and none of the
   * pods that the drain leaves alone may run on it.
   */
  #isOutOfService(): boolean {
    const { marksOutOfService, log } = this.#parts;
    const { action, kind } = this.#interruption;
    const isTaken = (action === 'terminate' || action === 'stop') && kind !== 'rehearsal';
    if (!marksOutOfService || !this.#isDrained || !isTaken) return false;
    const kept = this.#drain?.run.keptRunning() ?? [];
    if (kept.length > 0)
      log.warn({ kept }, 'Node not declared out of service: pods that the drain leaves alone are running');
    return kept.length === 0;
  }

  /** A recreated node object has no mark, and another client may remove the mark. */
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
        isOther
          ? 'Node object was recreated: marking it again'
          : 'Interruption mark was removed from node: restoring it',
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
      // The watch may have stalled before the notice. A new watch shows later pods, and a list those that came
      // meanwhile. The drain waits for neither.
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
   * What to drain now; undefined: nothing. Maintenance on hold is days away, and idle servers may still find players.
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

  /** While the node is at risk, idle game servers move to another node before players join them. */
  async #drainIdle(run: Drain, signal: AbortSignal): Promise<void> {
    const { cluster, clock } = this.#parts;
    while (await run.run(signal))
      await Promise.race([cluster.changed(), clock.sleep(lookForIdleMs, signal).catch(() => {})]);
  }

  /** `listed` resolves with whether the list at the notice succeeded. */
  async #drainUntilStopped(run: Drain, listed: Promise<boolean>, signal: AbortSignal): Promise<void> {
    const { cluster, clock } = this.#parts;
    while (!signal.aborted) {
      if (!(await run.run(signal))) return;
      // New pods are drained at once, so draining continues without waiting for the proof.
      if (!this.#isDrained && !this.#isProving) {
        // If there was nothing to drain, the list at the notice is already the proof.
        const isFirst = !run.hasMoved && !this.#hasProofFailed;
        void this.#prove(run, isFirst ? listed : this.#refresh(signal), signal);
      }
      // A pod may still come: one that tolerates the taint, or was bound at the same instant.
      await Promise.race([cluster.changed(), clock.sleep(1000, signal).catch(() => {})]);
    }
  }

  /** Only a list made after the notice proves that the node is drained: a watch may have missed pods. */
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
        log.warn({ err: errorText(error) }, 'Cannot list pods: drain state unknown');
      this.#hasFailedToList = true;
      return false;
    }
  }

  /**
   * If neither the node object nor a pod was ever seen, the node name may be wrong, and the node does not count as
   * drained.
   */
  #isEmpty(run: Drain): boolean {
    const isSeen = this.#parts.cluster.node() !== undefined || run.hasSeenPods;
    return isSeen && run.left()?.length === 0;
  }

  #volumesLeft(): readonly string[] {
    const { waitsForVolumes, cluster } = this.#parts;
    return waitsForVolumes ? (cluster.node()?.volumesAttached ?? []) : [];
  }

  /** Closes the journal while the instance is still alive, complete or not. */
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
   * Decides the outcome by what still runs: a pod whose containers or game have ended is only listed a little longer.
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
        'Cannot list pods at the end of the notice: drain state unknown',
      );
      this.#journal.close('unknown');
    }
  }

  /** When every pod must have ended; undefined: the notice names no time. */
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
