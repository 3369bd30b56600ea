import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fixedCredentials, isRefusedWith, KubeClient } from '../../../../sandbox/kube-client/kube-client.ts';
import { type Kubelet, type KubeletOptions, startKubelet } from '../../../../sandbox/kubelet/kubelet.ts';
import type { KubeletEvent } from '../../../../sandbox/kubelet/kubelet-event.ts';
import type { Container, Pod, PodSpec } from '../../../../sandbox/kubelet/pod/pod.ts';
import { type ApiServer, type ApiServerOptions, startApiServer } from '../../../../sandbox/kubernetes/api-server.ts';

export const podsPath = '/api/v1/namespaces/arena/pods';
const patienceMs = 30_000;

type Named<Name, Event = KubeletEvent> = Event extends { event: infer All }
  ? Name extends All
    ? Event
    : never
  : never;

/** What a kubelet told, with the time of each. */
export class EventLog {
  readonly all: (KubeletEvent & { atMs: number })[] = [];

  readonly tell = (event: KubeletEvent): void => {
    this.all.push({ ...event, atMs: performance.now() });
  };

  of<Name extends KubeletEvent['event']>(name: Name, pod?: string): (Named<Name> & { atMs: number })[] {
    const named = this.all.filter(
      (event) => event.event === name && (pod === undefined || ('pod' in event && event.pod === pod)),
    );
    return named as (Named<Name> & { atMs: number })[];
  }

  lines(pod: string): string[] {
    return this.of('log', pod).map(({ line }) => line);
  }

  /** The first event of the name about the pod, now or later. */
  next<Name extends KubeletEvent['event']>(name: Name, pod?: string): Promise<Named<Name> & { atMs: number }> {
    return until(`${name} ${pod ?? ''}`, () => this.of(name, pod)[0]);
  }

  line(pod: string, wanted: string | RegExp): Promise<string> {
    return until(`line ${wanted} of ${pod}`, () =>
      this.lines(pod).find((line) => (typeof wanted === 'string' ? line === wanted : wanted.test(line))),
    );
  }
}

/** Asks until there is an answer; throws after 30 s. */
export async function until<T>(what: string, ask: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const endsAtMs = performance.now() + patienceMs;
  while (performance.now() < endsAtMs) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await delay(10);
  }
  throw new Error(`Waited ${patienceMs} ms in vain for ${what}`);
}

export interface Scene extends AsyncDisposable {
  api: ApiServer;
  kube: KubeClient;
  root: string;
}

export interface Cluster extends Scene {
  events: EventLog;
  kubelet: Kubelet;
  /** A pod of one container that runs `script` in sh, on this node. */
  run(name: string, script: string, more?: { spec?: Partial<PodSpec>; container?: Partial<Container> }): Promise<Pod>;
  pod(name: string): Promise<Pod | undefined>;
  podWhen(name: string, what: string, is: (pod: Pod) => boolean): Promise<Pod>;
}

export async function startScene(options: ApiServerOptions = {}): Promise<Scene> {
  const api = await startApiServer(options);
  const kube = new KubeClient(fixedCredentials(api.url));
  const root = await realpath(await mkdtemp(join(tmpdir(), 'kubelet-test-')));
  await kube.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'arena' } });
  return {
    api,
    kube,
    root,
    async [Symbol.asyncDispose]() {
      kube.close();
      await api.close();
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export async function startCluster(options: Partial<KubeletOptions> = {}, given?: Scene): Promise<Cluster> {
  const scene = given ?? (await startScene());
  const events = new EventLog();
  const kubelet = await startKubelet({
    credentials: fixedCredentials(scene.api.url),
    node: 'n1',
    root: scene.root,
    imageEnvironment: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    imageDirectory: scene.root,
    tell: events.tell,
    ...options,
  });
  const pod = (name: string): Promise<Pod | undefined> => getPod(scene.kube, name);
  return {
    ...scene,
    events,
    kubelet,
    run: (name, script, more) => scene.kube.create<Pod>(podsPath, describePod(name, script, more)),
    pod,
    podWhen: (name, what, is) =>
      until(`pod ${name} ${what}`, async () => {
        const found = await pod(name);
        return found !== undefined && is(found) ? found : undefined;
      }),
    async [Symbol.asyncDispose]() {
      await kubelet.take();
      if (given === undefined) await scene[Symbol.asyncDispose]();
    },
  };
}

export function describePod(
  name: string,
  script: string,
  { spec = {}, container = {} }: { spec?: Partial<PodSpec>; container?: Partial<Container> } = {},
): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'arena', labels: { app: 'game' } },
    spec: {
      nodeName: 'n1',
      terminationGracePeriodSeconds: 30,
      containers: [{ name: 'game', image: 'demo:1', command: ['sh', '-c', script], ...container }],
      ...spec,
    },
  };
}

export async function getPod(kube: KubeClient, name: string): Promise<Pod | undefined> {
  try {
    return await kube.get<Pod>(`${podsPath}/${name}`);
  } catch (error) {
    if (isRefusedWith(error, 404)) return undefined;
    throw error;
  }
}

/** Running or sleeping; a zombie, which an orphan may stay where the first process does not reap, is not alive. */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  const state = stat.slice(stat.lastIndexOf(')') + 2)[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Live processes that have `word` as one of their arguments. */
export async function findByArgument(word: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    const line = /^\d+$/.test(name) ? await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '') : '';
    if (line.split('\0').includes(word)) found.push(Number(name));
  }
  return found;
}
