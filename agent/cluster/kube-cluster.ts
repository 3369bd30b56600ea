import type { V1Node, V1Pod } from '@kubernetes/client-node';
import type { Clock } from '../../shared/clock.ts';
import { FollowedList } from '../../shared/kubernetes/follow-list.ts';
import {
  isNotFound,
  isOverloaded,
  type KubeAnswer,
  refusal,
  statusOf,
  troubleOf,
} from '../../shared/kubernetes/kube-answer.ts';
import type { KubeConnection } from '../../shared/kubernetes/kube-connection.ts';
import type { Log } from '../../shared/log.ts';
import { type PodView, podName, readPod } from '../drain/pod.ts';
import { type NodeView, readNode } from '../node-state/node-mark.ts';
import type { Cluster, DeleteOutcome, EvictOutcome, PatchOutcome } from './cluster.ts';

export interface KubeClusterOptions {
  readonly connection: KubeConnection;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onGarbage?: () => void;
}

/** One node of a Kubernetes cluster, through its API server. */
export class KubeCluster implements Cluster {
  readonly #options: KubeClusterOptions;
  readonly #nodeList: FollowedList<NodeView>;
  readonly #podList: FollowedList<PodView>;
  #node: NodeView | undefined;
  #pods: readonly PodView[] | undefined;
  /** Pods that the API server reported as gone. The watch may show them a little longer. */
  #gone: ReadonlySet<string> = new Set();
  #change = Promise.withResolvers<void>();

  constructor(options: KubeClusterOptions) {
    this.#options = options;
    const { connection, nodeName, clock, log, onGarbage } = options;
    const common = { connection, clock, log, onGarbage };
    this.#nodeList = new FollowedList({
      ...common,
      path: `/api/v1/nodes?fieldSelector=${encodeURIComponent(`metadata.name=${nodeName}`)}`,
      read: (object) => readNode(object as V1Node),
      onItems: (nodes) => this.#see([...nodes.values()][0], this.#pods),
    });
    this.#podList = new FollowedList({
      ...common,
      path: `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${nodeName}`)}`,
      read: (object) => readPod(object as V1Pod),
      onItems: (pods) => this.#seePods([...pods.values()]),
    });
  }

  /** Keeps node and pods current until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#nodeList.run(signal), this.#podList.run(signal)]);
  }

  node(): NodeView | undefined {
    return this.#node;
  }

  pods(): readonly PodView[] | undefined {
    return this.#pods;
  }

  changed(): Promise<void> {
    return this.#change.promise;
  }

  doubt(what: 'all' | 'pods' = 'all'): void {
    if (what === 'all') this.#nodeList.doubt();
    this.#podList.doubt();
  }

  async listPods(signal: AbortSignal): Promise<readonly PodView[]> {
    const before = this.#gone;
    const pods = [...(await this.#podList.listNow(signal)).values()];
    // A pod that was reported as gone before this list began, and is in the list, is not gone.
    this.#gone = new Set([...this.#gone].filter((uid) => !before.has(uid)));
    this.#seePods(pods);
    return this.#pods ?? [];
  }

  async readNode(signal: AbortSignal): Promise<NodeView | undefined> {
    const answer = await this.#options.connection.request({ method: 'GET', path: this.#nodePath(), signal });
    if (isNotFound(answer, this.#options.nodeName)) return undefined;
    const node = answer.status === 200 ? readNode(answer.body as V1Node) : undefined;
    // A malformed response, or a proxy's, must not end the attempts to cordon the node.
    if (node === undefined) throw refusal(`read node ${this.#options.nodeName}`, answer);
    return node;
  }

  async patchNode(patch: object, resourceVersion: string, signal: AbortSignal): Promise<PatchOutcome> {
    const { metadata, ...rest } = patch as { metadata?: object };
    const answer = await this.#options.connection.request({
      method: 'PATCH',
      path: this.#nodePath(),
      contentType: 'application/strategic-merge-patch+json',
      // A repeated patch conflicts with the first one, and a conflict causes a fresh read.
      isRepeatable: true,
      body: { metadata: { ...metadata, resourceVersion }, ...rest },
      signal,
    });
    if (answer.status === 409 && statusOf(answer) !== undefined) return { kind: 'conflict' };
    if (isNotFound(answer, this.#options.nodeName)) return { kind: 'gone' };
    const node = answer.status === 200 ? readNode(answer.body as V1Node) : undefined;
    if (node === undefined) throw refusal(`patch node ${this.#options.nodeName}`, answer);
    this.#see(node, this.#pods);
    return { kind: 'patched', node };
  }

  async evict(pod: PodView, gracePeriodSeconds: number, signal: AbortSignal): Promise<EvictOutcome> {
    const { namespace, name } = pod;
    const body = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { namespace, name },
      deleteOptions: deleteOptions(pod, gracePeriodSeconds),
    };
    const path = `${podPath(pod)}/eviction`;
    const answer = await this.#options.connection.request({ method: 'POST', path, body, isRepeatable: true, signal });
    const { retryAfterMs } = answer;
    if (isDone(answer)) return { kind: 'accepted' };
    if (isGone(answer, pod)) return this.#forget(pod);
    if (isBudget(answer)) return { kind: 'refused', by: 'budget', reason: reasonOf(answer), retryAfterMs };
    if (isOverloaded(answer)) return { kind: 'busy', retryAfterMs };
    if (isPodRefused(answer)) return { kind: 'refused', by: 'other', reason: reasonOf(answer), retryAfterMs };
    throw refusal(`evict pod ${podName(pod)}`, answer);
  }

  async deletePod(pod: PodView, gracePeriodSeconds: number, signal: AbortSignal): Promise<DeleteOutcome> {
    const body = deleteOptions(pod, gracePeriodSeconds);
    const request = { method: 'DELETE', path: podPath(pod), body, isRepeatable: true, signal } as const;
    const answer = await this.#options.connection.request(request);
    const { retryAfterMs } = answer;
    if (isDone(answer)) return { kind: 'accepted' };
    if (isGone(answer, pod)) return this.#forget(pod);
    if (isOverloaded(answer)) return { kind: 'busy', retryAfterMs };
    if (isPodRefused(answer)) return { kind: 'refused', by: 'other', reason: reasonOf(answer), retryAfterMs };
    throw refusal(`delete pod ${podName(pod)}`, answer);
  }

  #nodePath(): string {
    return `/api/v1/nodes/${encodeURIComponent(this.#options.nodeName)}`;
  }

  #forget({ uid }: PodView): { readonly kind: 'gone' } {
    this.#gone = new Set([...this.#gone, uid]);
    this.#see(
      this.#node,
      this.#pods?.filter((pod) => pod.uid !== uid),
    );
    return { kind: 'gone' };
  }

  #seePods(pods: readonly PodView[]): void {
    // Drop entries that the watch no longer shows, so that the set never grows beyond the list.
    this.#gone = new Set(pods.map(({ uid }) => uid).filter((uid) => this.#gone.has(uid)));
    this.#see(
      this.#node,
      pods.filter(({ uid }) => !this.#gone.has(uid)),
    );
  }

  #see(node: NodeView | undefined, pods: readonly PodView[] | undefined): void {
    this.#node = node;
    this.#pods = pods;
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}

function podPath({ namespace, name }: PodView): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
}

/** The uid protects a new pod of the same name (a StatefulSet's). */
function deleteOptions({ uid }: PodView, gracePeriodSeconds: number): object {
  return { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds, preconditions: { uid } };
}

/** The API server always responds with an object that names its kind. A bare 200 comes from something else. */
function isDone({ status, body }: KubeAnswer): boolean {
  return status >= 200 && status < 300 && typeof (Object(body) as { kind?: unknown }).kind === 'string';
}

/** Not found, or the uid precondition failed: that conflict names the kind `Pod`, other conflicts name `pods`. */
function isGone(answer: KubeAnswer, { name }: PodView): boolean {
  if (isNotFound(answer, name)) return true;
  const details = statusOf(answer)?.details;
  return answer.status === 409 && details?.kind === 'Pod' && details.name === name;
}

/**
 * A budget names itself in the causes of its 429. Two budgets on one pod cause a 500 that differs from others only by
 * its message.
 */
function isBudget(answer: KubeAnswer): boolean {
  const { details, message } = statusOf(answer) ?? {};
  if (answer.status === 500) return message?.includes('PodDisruptionBudget') === true;
  return answer.status === 429 && (details?.causes ?? []).some(({ reason }) => reason === 'DisruptionBudget');
}

/**
 * A refusal by a webhook, a policy or a missing right concerns this pod. A rejected token of our own concerns all pods.
 */
function isPodRefused(answer: KubeAnswer): boolean {
  return answer.status !== 401 && troubleOf(answer) === 'object';
}

function reasonOf(answer: KubeAnswer): string {
  const { message, details } = statusOf(answer) ?? {};
  return details?.causes?.[0]?.message ?? message ?? `HTTP ${answer.status}`;
}
