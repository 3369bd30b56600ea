import type { Clock } from '../shared/clock.ts';
import { type Interruption, instant } from '../shared/interruption/interruption.ts';
import type { NodeState } from '../shared/inventory/event.ts';
import type { Log } from '../shared/log.ts';
import type { Cluster } from './cluster/cluster.ts';
import { cordonNode, uncordonNode } from './cordon/cordon.ts';
import { Drain, type DrainOutcome } from './drain/drain.ts';
import type { Policy } from './interruption/policy.ts';
import type { LinkServer } from './link/link-server.ts';

export interface ResponseParts {
  readonly cluster: Cluster;
  readonly link: Pick<LinkServer, 'announce' | 'cancel'>;
  /** Publishes what became of this node. */
  readonly publishNode: (state: NodeState, interruption: Interruption) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: Policy;
  readonly safetyMarginMs: number;
  readonly agentUid: string | undefined;
}

/** Undoing must end: without an API server the node is left as it is, and the annotation says so to the next agent. */
const longestUndoMs = 60_000;

/**
 * Everything that is under way because of one interruption. Its parts run beside each other, each with limits of its own, and
 * none waits for another: an API server that is away delays no game's warning.
 */
export class Response {
  readonly #parts: ResponseParts;
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  #interruption: Interruption;
  #drain: Drain | undefined;
  #work: Promise<unknown>;

  constructor(parts: ResponseParts, interruption: Interruption, signal: AbortSignal) {
    this.#parts = parts;
    this.#interruption = interruption;
    this.#signal = AbortSignal.any([signal, this.#stopped.signal]);
    // Wrappers first: the link costs no request, so games hear of it whatever becomes of the rest.
    this.#tellWrappers();
    this.#work = Promise.all([this.#cordon(), this.#drainNode()]);
    parts.publishNode(parts.policy[interruption.kind] === 'drain' ? 'interrupted' : 'at-risk', interruption);
  }

  get interruption(): Interruption {
    return this.#interruption;
  }

  /** The same interruption with another deadline, or a stricter one in its place. What is under way goes on. */
  change(interruption: Interruption): void {
    const { policy, publishNode } = this.#parts;
    this.#interruption = interruption;
    this.#tellWrappers();
    const endByMs = this.#endByMs();
    if (this.#drain !== undefined && endByMs !== undefined) this.#drain.moveEnd(endByMs);
    const more = this.#drain === undefined ? [this.#drainNode()] : [];
    this.#work = Promise.all([this.#work, this.#cordon(), ...more]);
    publishNode(policy[interruption.kind] === 'drain' ? 'interrupted' : 'at-risk', interruption);
  }

  /** Calls it off: wrappers are told, the node is given back as it was. */
  async undo(signal: AbortSignal): Promise<void> {
    const { cluster, clock, log, link, publishNode } = this.#parts;
    link.cancel(this.#interruption);
    publishNode('recovered', this.#interruption);
    await this.stop();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(longestUndoMs)]);
    if (await uncordonNode({ cluster, clock, log }, limit)) log.info({ node: cluster.node()?.name }, 'Node uncordoned');
  }

  /** Ends all that is under way, and leaves the node as it is. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#work;
  }

  #tellWrappers(): void {
    const { link, log, policy } = this.#parts;
    const { kind } = this.#interruption;
    // Told without an instant, a wrapper only takes note: nobody has to go while the node is merely held or cordoned.
    const isLeaving = policy[kind] === 'drain';
    const told = link.announce(
      isLeaving ? this.#interruption : { ...this.#interruption, deadlineMs: undefined },
      isLeaving ? this.#endByMs() : undefined,
    );
    log.info({ told }, 'Wrappers told');
  }

  async #cordon(): Promise<void> {
    const { cluster, clock, log } = this.#parts;
    const interruption = this.#interruption;
    if (await cordonNode({ cluster, clock, log }, interruption, this.#signal))
      log.info({ node: cluster.node()?.name, kind: interruption.kind }, 'Node cordoned');
  }

  async #drainNode(): Promise<void> {
    const { cluster, clock, log, policy, agentUid, publishNode } = this.#parts;
    const endByMs = this.#endByMs();
    if (policy[this.#interruption.kind] !== 'drain' || endByMs === undefined) return;
    this.#drain = new Drain({ cluster, clock, log, agentUid }, endByMs);
    for (let isFirst = true; !this.#signal.aborted; isFirst = false) {
      const outcome = await this.#drain.run(this.#signal);
      if (this.#signal.aborted) break;
      if (isFirst) publishNode('drained', this.#interruption);
      if (isFirst) log.info(drainFields(outcome), 'Node drained');
      // A pod may still come: one that tolerates the taint, or that was bound in the same instant.
      await Promise.race([cluster.changed(), clock.sleep(1000, this.#signal).catch(() => {})]);
    }
  }

  /** By when every pod has ended; undefined where the notice names no instant. */
  #endByMs(): number | undefined {
    const { deadlineMs } = this.#interruption;
    return deadlineMs === undefined ? undefined : deadlineMs - this.#parts.safetyMarginMs;
  }
}

function drainFields({ pods, left }: DrainOutcome): object {
  return { pods: Object.fromEntries(pods), left };
}

export function interruptionFields({ id, kind, action, deadlineMs, firstSeenMs }: Interruption): object {
  return {
    id,
    kind,
    action,
    deadline: deadlineMs === undefined ? null : instant(deadlineMs),
    leftMs: deadlineMs === undefined ? null : deadlineMs - firstSeenMs,
  };
}
