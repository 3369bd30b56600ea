import { type InterruptionKind, interruptionKinds } from '../shared/interruption/interruption.ts';
import type { Policy } from './interruption/policy.ts';
import { withRehearsal } from './interruption/rehearsal.ts';
import {
  absencesUntilCancelled,
  type Observation,
  type Tracked,
  trackInterruption,
} from './interruption/track-interruption.ts';
import type { NodeKeeper } from './node-state/node-keeper.ts';
import { hasUnreadableMark, readMark } from './node-state/node-mark.ts';
import { InterruptionJournal, type JournalParts } from './reporting/interruption-journal.ts';
import { interruptionFields, Response, type ResponseParts } from './response.ts';

export interface AgentParts extends ResponseParts {
  /** Yields everything that announces interruptions, once per poll. */
  readonly observe: (signal: AbortSignal) => AsyncIterable<Observation>;
  readonly policy: Policy;
  readonly keeper: Pick<NodeKeeper, 'setDesired' | 'isBusy' | 'tryNow'>;
  readonly journal: JournalParts;
}

/**
 * The agent's main flow: each poll updates the tracked interruption, and each change gets a response.
 *
 *     metadata, EC2, node ──observe──▶ trackInterruption ──begun──────▶ Response: tell, mark node, event, drain
 *                                                        ──changed────▶ Response.change: new deadline, same work
 *                                                        ──cancelled──▶ Response.cancel: undo what we did
 *
 * All changes to the node are recorded on the node, so the next agent can resume wherever this one ends.
 */
export class Agent {
  readonly #parts: AgentParts;
  #tracked: Tracked = { state: 'quiet' };
  #response: Response | undefined;
  #refused: string | undefined;
  #announced: ReadonlySet<InterruptionKind> = new Set();
  /** The last handled request for a rehearsal, while it is still on the node. */
  #spentRequest: string | undefined;
  /** How often each kind was checked and not found while the node has an unreadable mark. */
  readonly #absences = new Map<InterruptionKind, number>();

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  /** The response to the current interruption; undefined: there is none. */
  get response(): Response | undefined {
    return this.#response;
  }

  /** Whether an interruption of this kind is announced, whether or not the agent responds to it. */
  isAnnounced(kind: InterruptionKind): boolean {
    return this.#announced.has(kind);
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for await (const observation of this.#parts.observe(signal)) this.#take(observation, signal);
    this.#response?.stop();
  }

  #take(seen: Observation, signal: AbortSignal): void {
    const { cluster, clock, policy, log } = this.#parts;
    this.#announced = new Set(seen.notices.map(({ kind }) => kind));
    this.#remember();
    const node = cluster.node();
    if (node !== undefined && node.rehearse !== this.#spentRequest) this.#spentRequest = undefined;
    const { observation, refusal } = withRehearsal(seen, node, this.#tracked, clock.now(), this.#spentRequest);
    this.#refuseRehearsal(refusal);
    const { tracked, change } = trackInterruption(this.#tracked, observation, policy, clock.now());
    this.#tracked = tracked;
    this.#mendMark(observation);
    switch (change.kind) {
      case 'none':
        break;
      case 'begun':
        log.info(
          interruptionFields(change.interruption),
          change.isResumed ? 'Interruption resumed' : 'Interruption noticed',
        );
        this.#response = this.#respond(change.interruption, signal);
        this.#response.begin(change.isResumed);
        break;
      case 'changed':
        log.info(interruptionFields(change.interruption), 'Interruption changed');
        this.#response?.change(change.interruption);
        break;
      case 'cancelled':
        log.info(interruptionFields(change.interruption), 'Interruption cancelled');
        if (change.interruption.kind === 'rehearsal') this.#spentRequest = node?.rehearse;
        // A response that an earlier agent began is undone too.
        (this.#response ?? this.#respond(change.interruption, signal)).cancel();
        this.#response = undefined;
        break;
    }
  }

  #respond(interruption: Parameters<Response['change']>[0], signal: AbortSignal): Response {
    return new Response(this.#parts, new InterruptionJournal(this.#parts.journal, interruption), interruption, signal);
  }

  /**
   * Resumes an earlier agent's interruption from the mark on the node. The node may be seen first long after the start,
   * when the API server is back. A mark that could not be removed earlier is found again here.
   */
  #remember(): void {
    const { cluster, keeper } = this.#parts;
    if (this.#tracked.state === 'answered' || keeper.isBusy) return;
    const node = cluster.node();
    const mark = node === undefined ? undefined : readMark(node);
    if (mark === undefined) this.#tracked = { state: 'quiet' };
    else if (this.#tracked.state === 'quiet')
      this.#tracked = { state: 'remembered', interruption: mark.interruption, absences: 0 };
  }

  /**
   * An agent of another version, or a person, may have left a mark that this agent cannot read. It would stay forever,
   * so remove it when no announcement would set a new one.
   */
  #mendMark({ seen }: Observation): void {
    const { cluster, keeper, log, journal } = this.#parts;
    const node = cluster.node();
    const isUnreadable = this.#tracked.state === 'quiet' && node !== undefined && hasUnreadableMark(node);
    if (!isUnreadable) this.#absences.clear();
    const wasAbsent = this.#isAllAbsent();
    if (isUnreadable) for (const kind of seen) this.#absences.set(kind, (this.#absences.get(kind) ?? 0) + 1);
    if (!isUnreadable || wasAbsent || !this.#isAllAbsent()) return;
    log.warn(
      { annotation: node.annotation?.slice(0, 1000) ?? null },
      'Interruption mark on node is unreadable: removing it',
    );
    journal.events.onNode(
      'Warning',
      'MarkUnreadable',
      'The interruption mark is unreadable, and no interruption is announced: removing it',
    );
    void keeper.setDesired({ kind: 'unmarked' }).then((outcome) => {
      if (outcome !== 'done') return;
      const isCordoned = cluster.node()?.isCordoned === true;
      log.info(
        { isCordoned },
        isCordoned
          ? 'Interruption mark removed: origin of the cordon is unknown, node stays cordoned'
          : 'Node uncordoned',
      );
    });
  }

  #isAllAbsent(): boolean {
    return interruptionKinds.every((kind) => (this.#absences.get(kind) ?? 0) >= absencesUntilCancelled);
  }

  /** Reports once why a rehearsal is refused, and removes the request from the node. */
  #refuseRehearsal(refusal: string | undefined): void {
    const { log, keeper, journal } = this.#parts;
    if (refusal === this.#refused || (refusal !== undefined && keeper.isBusy)) return;
    this.#refused = refusal;
    if (refusal === undefined) return;
    log.warn({ reason: refusal }, 'Rehearsal refused');
    journal.events.onNode('Warning', 'RehearsalRefused', `Rehearsal refused: ${refusal}`);
    void keeper.setDesired({ kind: 'no-request' });
  }
}
