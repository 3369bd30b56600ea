import type { Clock } from '../../shared/clock.ts';
import { instant } from '../../shared/interruption/interruption.ts';
import { describeRefusal, KubeError } from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import { type Backoff, RetryPause } from '../../shared/retry.ts';
import type { PodView } from '../drain/pod.ts';
import type { NodeView } from '../node-state/node-mark.ts';
import type { EventSink } from './interruption-journal.ts';

export interface KubeEventsOptions {
  readonly connection: KubeConnection;
  readonly nodeName: string;
  readonly node: () => NodeView | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** While true, no event is sent, because more urgent calls go first. */
  readonly mustWait: () => boolean;
  readonly random?: () => number;
}

type EventType = 'Normal' | 'Warning';

interface Waiting {
  /** An event about the node is written at once: it is a single call, and explains all the others. */
  readonly isAboutNode: boolean;
  readonly namespace: string;
  readonly body: object;
  readonly retries: RetryPause;
}

/** Two events per pod. More are not kept. */
const maxWaiting = 500;
const maxAttempts = 4;
const backoff: Backoff = { firstMs: 200, maxMs: 2000 };
const lookAgainMs = 100;
const maxMessageChars = 1024;

/**
 * Writes Kubernetes events, one at a time. Those about pods wait while more urgent calls are due. A missing right is
 * logged once.
 */
export class KubeEvents implements EventSink {
  readonly #options: KubeEventsOptions;
  readonly #waiting: Waiting[] = [];
  #wake = Promise.withResolvers<void>();
  #isForbidden = false;
  readonly #causes = new NewCauses();

  constructor(options: KubeEventsOptions) {
    this.#options = options;
  }

  /** Whether events are waiting to be written. */
  get isBusy(): boolean {
    return this.#waiting.length > 0;
  }

  onNode(type: EventType, reason: string, message: string): void {
    const { nodeName, node } = this.#options;
    // kubectl describe finds a node's events by its name in the uid field, because kubelets write them so.
    const involvedObject = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: node()?.uid ?? nodeName };
    this.#add('default', involvedObject, nodeName, type, reason, message);
  }

  onPod({ namespace, name, uid }: PodView, type: EventType, reason: string, message: string): void {
    const involvedObject = { apiVersion: 'v1', kind: 'Pod', namespace, name, uid };
    this.#add(namespace, involvedObject, name, type, reason, message);
  }

  /** Sends until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { mustWait, clock } = this.#options;
    signal.addEventListener('abort', () => this.#wake.resolve(), { once: true });
    while (!signal.aborted) {
      const [next] = this.#waiting;
      if (next === undefined) {
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
      } else if (!next.isAboutNode && mustWait()) await clock.sleep(lookAgainMs, signal).catch(() => {});
      else await this.#send(next, signal);
    }
  }

  async #send(event: Waiting, signal: AbortSignal): Promise<void> {
    const { connection } = this.#options;
    const path = `/api/v1/namespaces/${encodeURIComponent(event.namespace)}/events`;
    try {
      const { status, body } = await connection.request({ method: 'POST', path, body: event.body, signal });
      if (status === 429 || status >= 500)
        throw new KubeError(describeRefusal('write event', status, body), { status });
      if (status === 403) this.#forbid(describeRefusal('write events', status, body));
      else if (status >= 300 && status !== 404) this.#lose(describeRefusal('write event', status, body));
      else if (status < 300) this.#causes.clear();
      this.#remove(event);
    } catch (error) {
      if (signal.aborted) return;
      if (event.retries.failed() >= maxAttempts) {
        this.#remove(event);
        this.#lose(errorText(error));
      }
      await event.retries.wait(signal);
    }
  }

  /** Logs each cause once, until the API server accepts an event again: a hundred pods cause a hundred events. */
  #lose(err: string): void {
    if (this.#causes.isNew(err)) this.#options.log.warn({ err }, 'Kubernetes event lost');
  }

  #remove(event: Waiting): void {
    const index = this.#waiting.indexOf(event);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  #forbid(reason: string): void {
    if (!this.#isForbidden) this.#options.log.warn({ err: reason }, 'Kubernetes events are not written');
    this.#isForbidden = true;
    this.#waiting.length = 0;
  }

  #add(
    namespace: string,
    involvedObject: { readonly kind: string },
    name: string,
    type: EventType,
    reason: string,
    message: string,
  ): void {
    const isAboutNode = involvedObject.kind === 'Node';
    if (this.#isForbidden || (this.#waiting.length >= maxWaiting && !isAboutNode)) return;
    const { clock, nodeName, random } = this.#options;
    // The API server accepts only whole seconds in these two fields.
    const now = `${instant(clock.now()).slice(0, 19)}Z`;
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { generateName: `${name}.`, namespace },
      involvedObject,
      type,
      reason,
      message: message.slice(0, maxMessageChars),
      source: { component: 'spotable-agent', host: nodeName },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    const firstOfPods = this.#waiting.findIndex((waiting) => !waiting.isAboutNode);
    const index = isAboutNode && firstOfPods >= 0 ? firstOfPods : this.#waiting.length;
    const retries = new RetryPause({ backoff, clock, random });
    this.#waiting.splice(index, 0, { isAboutNode, namespace, body, retries });
    this.#wake.resolve();
  }
}
