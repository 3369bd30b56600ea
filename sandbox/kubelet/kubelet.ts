import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { arch, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeCredentials } from '../../shared/kubernetes/kube-credentials.ts';
import { KubeClient } from '../kube-client/kube-client.ts';
import type { NodeFacts } from './api/describe-node.ts';
import { followPods } from './api/follow-pods.ts';
import { keepNode } from './api/keep-node.ts';
import type { TellEvent } from './kubelet-event.ts';
import type { Pod } from './pod/pod.ts';
import type { Image } from './pod/resolve-command.ts';
import { type DelayRange, type PodHome, PodWorker } from './pod-worker.ts';
import { Sweeper, type SweepResult } from './process/sweep.ts';

export interface KubeletOptions {
  /** The API server's address, and the kubelet's identity for it. */
  credentials: KubeCredentials;
  node: string;
  /**
   * Directory for pods' directories (`pods/UID`) and logs (`logs/NAMESPACE_POD_UID/CONTAINER.log`). One kubelet at a
   * time may use it.
   */
  root: string;
  /** Address of the node and of its pods, which all use the host network. Default 127.0.0.1. */
  address?: string;
  labels?: Readonly<Record<string, string>>;
  maxPods?: number;
  /** The environment that every image would bring. Programs are found by its PATH. */
  imageEnvironment: Readonly<Record<string, string>>;
  /** Working directory of containers that name none. */
  imageDirectory: string;
  /** Directory that stands in for the root of host paths. Default `/`. */
  hostRoot?: string;
  /**
   * By the image's name with its registry and without its tag; any other image cannot be pulled. Default: every image
   * exists and is empty.
   */
  images?: Readonly<Record<string, Image>>;
  /** Simulated time to pull an image. Default 0. */
  startDelayMs?: number;
  /** Delay before the second restart of a container, doubled each time. Default 10 s, at most 5 min. */
  restartBackoffMs?: number;
  /**
   * Minimum and maximum delay from the end of a pod's last container until the kubelet reports the pod's end. Real
   * kubelets took 1.5 to 4.5 s. Default 0.
   */
  podEndDelayMs?: DelayRange;
  tell: TellEvent;
}

export interface Kubelet {
  readonly node: string;
  readonly root: string;
  /** Ends all pods (SIGTERM, at most 2 s later SIGKILL) and then the kubelet, without a word to the API server. */
  stop(): Promise<void>;
  /** The instance is taken: every process of this node gets SIGKILL at once. */
  take(): Promise<void>;
}

const maxRestartBackoffMs = 300_000;
const defaultRestartBackoffMs = 10_000;
/** The minimum grace of 2 s, and time for the last exits. */
const stopLimitMs = 4_000;

/**
 * A kubelet for one node, without images, cgroups or a network of its own: a pod's containers are processes of this
 * machine. It first ends whatever an earlier kubelet left on the same root, even after a kill.
 * @throws Error if another kubelet uses the root
 */
export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  await mkdir(options.root, { recursive: true });
  const root = await realpath(options.root);
  const rootId = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const lock = await lockRoot(root, rootId);
  const markerPrefix = `${rootId}.`;
  const sweeper = new Sweeper();
  const killAll = (): Promise<SweepResult> =>
    sweeper.sweep({ isMarker: (marker) => marker.startsWith(markerPrefix), sessions: [] });
  const { killed } = await killAll();
  await rm(join(root, 'pods'), { recursive: true, force: true });

  const { node, tell, credentials } = options;
  const kube = new KubeClient(credentials);
  const over = new AbortController();
  const workers = new Map<string, PodWorker>();
  const home = describeHome(options, { kube, root, markerPrefix, sweeper, signal: over.signal });
  tell({ event: 'kubelet-started', node, root, leftoversKilled: killed });
  const loops = [
    keepNode(kube, describeFacts(options), () => tell({ event: 'node-registered', node }), over.signal),
    followPods(kube.connection, node, listenToPods(workers, home), over.signal),
  ];

  let isTaken = false;
  let hasEnded = false;
  async function end(how: 'stopped' | 'taken'): Promise<void> {
    isTaken ||= how === 'taken';
    over.abort();
    for (const worker of workers.values()) how === 'taken' ? worker.take() : worker.shutdown();
    if (how === 'taken') await killAll();
    const allGone = Promise.all([...workers.values()].map(({ gone }) => gone));
    await Promise.race([allGone, delay(stopLimitMs, undefined, { ref: false })]);
    await killAll();
    await Promise.all(loops);
    kube.close();
    lock.close();
    if (!hasEnded) tell({ event: 'kubelet-ended', node, how: isTaken ? 'taken' : 'stopped' });
    hasEnded = true;
  }
  return { node, root, stop: () => end('stopped'), take: () => end('taken') };
}

function describeHome(
  options: KubeletOptions,
  own: Pick<PodHome, 'kube' | 'root' | 'markerPrefix' | 'sweeper' | 'signal'>,
): PodHome {
  const { node, address = '127.0.0.1', imageEnvironment, imageDirectory, images, startDelayMs = 0, tell } = options;
  const { hostRoot = '/' } = options;
  const { restartBackoffMs: baseMs = defaultRestartBackoffMs, podEndDelayMs = { min: 0, max: 0 } } = options;
  return {
    ...own,
    place: { nodeName: node, address },
    imageEnvironment,
    imageDirectory,
    hostRoot,
    images,
    startDelayMs,
    backoff: { baseMs, maxMs: maxRestartBackoffMs },
    podEndDelayMs,
    tell,
  };
}

function describeFacts({ node, address = '127.0.0.1', labels = {}, maxPods = 110 }: KubeletOptions): NodeFacts {
  const architecture = arch() === 'x64' ? 'amd64' : arch();
  return { name: node, address, labels, maxPods, cpus: cpus().length, memoryBytes: totalmem(), architecture };
}

function listenToPods(workers: Map<string, PodWorker>, home: PodHome): Parameters<typeof followPods>[2] {
  const changed = (pod: Pod): void => {
    const { uid } = pod.metadata;
    const known = workers.get(uid);
    if (known !== undefined) {
      known.update(pod);
      return;
    }
    const worker = new PodWorker(pod, home);
    workers.set(uid, worker);
    void worker.gone.then(() => workers.delete(uid));
  };
  return {
    changed,
    removed: (pod) => workers.get(pod.metadata.uid)?.remove(pod),
    reachable(reachable, message) {
      const event = reachable ? 'api-reachable' : 'api-unreachable';
      home.tell({ event, node: home.place.nodeName, message });
    },
  };
}

/** An abstract socket is a lock that the kernel releases however the kubelet ends. */
async function lockRoot(root: string, rootId: string): Promise<Server> {
  const lock = createServer((socket) => socket.destroy());
  lock.listen(`\0spotable-sandbox-kubelet-${rootId}`);
  try {
    await once(lock, 'listening');
  } catch (cause) {
    throw new Error(`Cannot use root ${root}: another kubelet runs on it`, { cause });
  }
  return lock;
}
