import type { Clock } from '../shared/clock.ts';
import type { NodeState } from '../shared/events/event.ts';
import { type Interruption, instant } from '../shared/interruption/interruption.ts';
import type { Log } from '../shared/log.ts';
import { steadyClock } from '../shared/steady-clock.ts';
import type { Cluster } from './cluster/cluster.ts';
import { Drain, type DrainScope } from './drain/drain.ts';
import type { PlannedInterruption } from './interruption/policy.ts';
import type { LinkServer } from './link/link-server.ts';
import type { NodeKeeper } from './node-state/node-keeper.ts';
import type { InterruptionJournal } from './reporting/interruption-journal.ts';

export interface ResponseParts {
  readonly cluster: Cluster;
  readonly keeper: Pick<NodeKeeper, 'setDesired'>;
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
}

/** With a very short notice the margin gives way: it takes at most this share of what was left when the notice was seen. */
const maxMarginShare = 1 / 4;
/** How often the end is looked at: the deadline may move, and clocks may step. */
const watchEndMs = 250;

/** How often it is looked for game servers that have become idle. */
const lookForIdleMs = 1000;

/** A cordon takes one call, a few milliseconds; an API server that cannot take it in this time shall not hold up the drain. */
const cordonHeadStartMs = 250;

/**
 * Everything that is under way because of one interruption. Its parts run beside each other, each with limits of its own, and
 * none waits for another: an API server that is away delays no game's warning.
 */
export class Response {
  readonly #parts: ResponseParts;
  readonly #journal: InterruptionJournal;
  readonly #signal: AbortSignal;
  readonly #stopped = new AbortController();
  #interruption: PlannedInterruption;
  #drain: { readonly run: Drain; readonly scope: DrainScope; readonly abort: AbortController } | undefined;
  #isDrained = false;
  #marked: Promise<unknown> = Promise.resolve();

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
    this.#journal.close('cancelled');
    publishNode('recovered', this.#interruption);
    void keeper.setDesired({ kind: 'unmarked' }).then((outcome) => {
      if (outcome === 'done') log.info({ node: cluster.node()?.name }, 'Node uncordoned');
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
    const { keeper, excludeFromLoadBalancers, log, cluster, marksOutOfService } = this.#parts;
    const interruption = this.#interruption;
    const isTaken = interruption.action === 'terminate' || interruption.action === 'stop';
    const isOutOfService = marksOutOfService && this.#isDrained && isTaken && interruption.kind !== 'rehearsal';
    this.#marked = keeper
      .setDesired({ kind: 'marked', interruption, options: { excludeFromLoadBalancers, isOutOfService } })
      .then((outcome) => {
        if (outcome !== 'done' || isOutOfService) return;
        log.info({ node: cluster.node()?.name, kind: interruption.kind }, 'Node cordoned');
        this.#journal.cordoned();
      });
  }

  #publish(): void {
    const { response } = this.#interruption;
    this.#parts.publishNode(response === 'drain' ? 'interrupted' : 'at-risk', this.#interruption);
  }

  #startDrain(): void {
    const { cluster, clock, log, agentUid, mayDelete, link } = this.#parts;
    const scope = this.#scope();
    if (scope === undefined) return;
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#signal, abort.signal]);
    const parts = { cluster, clock, log, agentUid, mayDelete, scope, occupancies: () => link.occupancies() };
    const run = new Drain({ ...parts, listener: this.#journal }, this.#endByMs() ?? Number.POSITIVE_INFINITY);
    this.#drain = { run, scope, abort };
    if (scope === 'idle') void this.#drainIdle(run, signal);
    else {
      void this.#drainUntilStopped(run, signal);
      void this.#closeAtEnd(run, signal);
    }
  }

  /** What is to be drained now; undefined: nothing. Maintenance that is held is days away: its idle servers may still find players. */
  #scope(): DrainScope | undefined {
    const { response, kind, deadlineMs } = this.#interruption;
    if (response === 'drain' && deadlineMs !== undefined) return 'all';
    return response === 'hold' && kind === 'rebalance' ? 'idle' : undefined;
  }

  #stopDrain(): void {
    this.#drain?.abort.abort();
    this.#drain = undefined;
    this.#isDrained = false;
  }

  /** Evicted before the cordon stands, a pod's replacement may be put on this very node, and has to go a second time. */
  async #letCordonGoFirst(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#marked, this.#parts.clock.sleep(cordonHeadStartMs, signal).catch(() => {})]);
  }

  /** While the node is at risk: those on which nobody plays begin anew elsewhere, before anybody does. */
  async #drainIdle(run: Drain, signal: AbortSignal): Promise<void> {
    const { cluster, clock } = this.#parts;
    await this.#letCordonGoFirst(signal);
    while (await run.run(signal))
      await Promise.race([cluster.changed(), clock.sleep(lookForIdleMs, signal).catch(() => {})]);
  }

  async #drainUntilStopped(run: Drain, signal: AbortSignal): Promise<void> {
    const { cluster, clock, log, publishNode } = this.#parts;
    await this.#letCordonGoFirst(signal);
    while (!signal.aborted) {
      if (!(await run.run(signal))) return;
      if (!this.#isDrained) {
        this.#isDrained = true;
        log.info(this.#journal.drainedFields(), 'Node drained');
        publishNode('drained', this.#interruption);
        this.#journal.close('drained');
        if (this.#parts.marksOutOfService) this.#mark();
      }
      // A pod may still come: one that tolerates the taint, or that was bound in the same instant.
      await Promise.race([cluster.changed(), clock.sleep(1000, signal).catch(() => {})]);
    }
  }

  /** The account is closed while the instance still lives, complete or not. */
  async #closeAtEnd(run: Drain, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    while (!signal.aborted && !this.#journal.isClosed) {
      if (clock.now() >= (this.#endByMs() ?? Number.POSITIVE_INFINITY)) {
        log.warn({ left: run.left() }, 'Pods left at the end of the notice');
        this.#journal.close('incomplete');
      }
      await clock.sleep(watchEndMs, signal).catch(() => {});
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
