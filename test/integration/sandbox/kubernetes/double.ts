import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiServer } from '../../../../sandbox/kubernetes/api-server.ts';
import type { Node, Pod } from '../../../../sandbox/kubernetes/objects.ts';
import { namespaces, nodes, pods } from '../../../../sandbox/kubernetes/registry/table.ts';

const deadlineMs = 10_000;

/** Waits until `look` finds something, and gives that. */
export async function eventually<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await sleep(5);
  }
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export interface SendOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly token?: string;
}

export async function send(server: ApiServer, method: string, path: string, options: SendOptions = {}): Promise<Reply> {
  const { body, contentType = 'application/json', token } = options;
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { 'content-type': contentType, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(deadlineMs),
  });
  const text = await response.text();
  const isJson = text !== '' && response.headers.get('content-type') === 'application/json';
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? (JSON.parse(text) as Record<string, unknown>) : { text },
  };
}

export function createNode(server: ApiServer, name: string): Node {
  const draft = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/hostname': name } } };
  return server.registry.create(nodes, { ...draft, spec: {} });
}

export function createNamespace(server: ApiServer, name: string): void {
  server.registry.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec: {} });
}

export function createPod(server: ApiServer, name: string, spec: Partial<Pod['spec']> = {}): Pod {
  return server.registry.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: name } },
    spec: { containers: [{ name: 'game', image: 'demo:1' }], terminationGracePeriodSeconds: 2, ...spec },
  });
}

/** What a kubelet writes of a pod that runs. */
export function makeReady(server: ApiServer, { metadata }: Pod): void {
  server.registry.update(
    pods,
    metadata.namespace,
    metadata.name,
    (pod): Pod => ({
      ...pod,
      status: { ...pod.status, phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    }),
    { subresource: 'status' },
  );
}

/** Stands in for the kubelets of all nodes: pods with a node become ready, terminating ones end at once. */
export function runKubelets(server: ApiServer): () => void {
  const act = (pod: Pod): void => {
    const current = server.store.get(pods, pod.metadata.namespace, pod.metadata.name);
    if (current?.spec.nodeName === undefined) return;
    const { namespace, name, deletionTimestamp } = current.metadata;
    if (deletionTimestamp !== undefined) server.registry.delete(pods, namespace, name, { gracePeriodSeconds: 0 });
    else if (current.status.phase === 'Pending') makeReady(server, current);
  };
  return server.store.subscribe(pods, ({ type, object }) => {
    if (type !== 'DELETED') setImmediate(act, object as Pod);
  });
}

export interface WatchStream {
  readonly status: number;
  readonly events: { type: string; object: { metadata: Record<string, unknown>; [field: string]: unknown } }[];
  /** How the server ended it, once it did. */
  end: 'clean' | 'broken' | undefined;
  close(): void;
}

export async function watch(server: ApiServer, path: string): Promise<WatchStream> {
  const controller = new AbortController();
  const response = await fetch(`${server.url}${path}`, { signal: controller.signal });
  const stream: WatchStream = { status: response.status, events: [], end: undefined, close: () => controller.abort() };
  read(response, stream).then(
    () => {
      stream.end = 'clean';
    },
    () => {
      stream.end = 'broken';
    },
  );
  return stream;
}

async function read(response: Response, stream: WatchStream): Promise<void> {
  let rest = '';
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) stream.events.push(JSON.parse(line));
  }
}
