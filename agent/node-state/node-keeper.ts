import type { Clock } from '../../shared/clock.ts';
import { KubeError } from '../../shared/kubernetes/kube-answer.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { PlannedInterruption } from '../interruption/policy.ts';
import {
  dropRequestPatch,
  type MarkOptions,
  markFor,
  markPatch,
  type NodeMark,
  type NodeView,
  unmarkPatch,
  withoutAnnotation,
} from './node-mark.ts';

export interface NodeKeeperParts {
  readonly cluster: Pick<Cluster, 'node' | 'readNode' | 'patchNode'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

/** The desired state of the node. */
export type DesiredNodeState =
  | { readonly kind: 'marked'; readonly interruption: PlannedInterruption; readonly options: MarkOptions }
  | { readonly kind: 'unmarked' }
  /** Unchanged, but without a request for a rehearsal. */
  | { readonly kind: 'no-request' };

/** `done`: the node has the desired state. `replaced`: a newer request came first. `gone`: the node does not exist. */
export type NodeStateOutcome = 'done' | 'replaced' | 'gone';

interface Request {
  readonly desired: DesiredNodeState;
  readonly settle: (outcome: NodeStateOutcome) => void;
}

const backoff: Backoff = { firstMs: 100, maxMs: 2000 };
const maxConflictPauseMs = 50;
/**
 * Other clients write the node at most a few times a second. More conflicts in a row are not a race and back off like
 * any failure.
 */
const maxQuickConflicts = 5;

/**
 * Brings the node to the latest desired state and retries until it succeeds. It is the only writer, so that a cordon
 * and its removal cannot overtake each other. It acts on requests alone, and leaves later changes by others in place.
 */
export class NodeKeeper {
  readonly #parts: NodeKeeperParts;
  #request: Request | undefined;
  #wake = Promise.withResolvers<void>();
  /** A mark on the node that its annotation does not record. */
  #unrecorded: UnrecordedMark | undefined;

  constructor(parts: NodeKeeperParts) {
    this.#parts = parts;
  }

  get isBusy(): boolean {
    return this.#request !== undefined;
  }

  /** The API server responds again, so the next attempt need not wait. */
  tryNow(): void {
    this.#wake.resolve();
  }

  /** Replaces the previous desired state. Settles when the node has this state, or never will. */
  setDesired(desired: DesiredNodeState): Promise<NodeStateOutcome> {
    const { promise, resolve } = Promise.withResolvers<NodeStateOutcome>();
    this.#request?.settle('replaced');
    this.#request = { desired, settle: resolve };
    this.#wake.resolve();
    return promise;
  }

  /** Applies requests until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake.resolve(), { once: true });
    while (!signal.aborted) {
      const request = this.#request;
      if (request === undefined) {
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
        continue;
      }
      const outcome = await this.#apply(request, signal);
      if (outcome === undefined || this.#request !== request) continue;
      this.#request = undefined;
      request.settle(outcome);
    }
    this.#request?.settle('replaced');
    this.#request = undefined;
  }

  /**
   * The first attempt patches the node as the watch shows it, without a read. If another client wrote in between, the
   * patch is rebuilt from a fresh read, so that foreign taints are kept, which a full update would lose.
   */
  async #apply(request: Request, signal: AbortSignal): Promise<NodeStateOutcome | undefined> {
    const { cluster, clock, log, random = Math.random } = this.#parts;
    const pause = new RetryPause({ backoff, clock, random });
    const causes = new NewCauses();
    let node = cluster.node();
    for (let conflicts = 0; !signal.aborted && this.#request === request; ) {
      this.#wake = Promise.withResolvers();
      try {
        node ??= await cluster.readNode(signal);
        if (node === undefined) return 'gone';
        const outcome = await this.#write(node, request.desired, signal);
        if (outcome !== 'conflict') return outcome;
        if (++conflicts > maxQuickConflicts) throw new Error(`${maxQuickConflicts} conflicts in a row`);
        // A conflict is not a failure: read and write again soon, after a random pause to avoid the other writer.
        await clock.sleep(maxConflictPauseMs * random(), signal);
      } catch (error) {
        if (signal.aborted) return undefined;
        pause.failed();
        const err = errorText(error);
        if (causes.isNew(err)) log.warn({ desired: request.desired.kind, err }, 'Cannot patch node');
        // A new request does not wait out the failures of an old one.
        await Promise.race([pause.wait(signal), this.#wake.promise]);
      }
      node = undefined;
    }
    return undefined;
  }

  async #write(node: NodeView, desired: DesiredNodeState, signal: AbortSignal): Promise<NodeStateOutcome | 'conflict'> {
    const { cluster, log } = this.#parts;
    const known = this.#unrecorded?.uid === node.uid ? this.#unrecorded.mark : undefined;
    const patch = patchFor(node, desired, known);
    if (patch === undefined) return 'done';
    try {
      const { kind } = await cluster.patchNode(patch, node.resourceVersion, signal);
      if (kind !== 'patched') return kind;
      this.#unrecorded = undefined;
      return 'done';
    } catch (error) {
      // All annotations together may be too long. The cordon matters most, so write it without ours.
      if (desired.kind !== 'marked' || !(error instanceof KubeError) || error.status !== 422) throw error;
      const { kind } = await cluster.patchNode(withoutAnnotation(patch), node.resourceVersion, signal);
      if (kind !== 'patched') return kind;
      this.#unrecorded = { uid: node.uid, mark: markFor(node, desired.interruption, desired.options, known) };
      log.error(
        { node: node.name, err: errorText(error) },
        'Node marked without annotation: a restarted agent will not know about it',
      );
      return 'done';
    }
  }
}

/** A mark that could not be recorded in the annotation. */
interface UnrecordedMark {
  readonly uid: string;
  readonly mark: NodeMark;
}

function patchFor(node: NodeView, desired: DesiredNodeState, known: NodeMark | undefined): object | undefined {
  switch (desired.kind) {
    case 'marked':
      return markPatch(node, desired.interruption, desired.options, known);
    case 'unmarked':
      return unmarkPatch(node, known);
    case 'no-request':
      return dropRequestPatch(node);
  }
}
