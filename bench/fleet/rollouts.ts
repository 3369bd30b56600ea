import { type AllocationRequest, anyGameServer } from '../../fleet/allocation/allocation-request.ts';
import { Allocator } from '../../fleet/allocation/allocator.ts';
import { compareNames } from '../../fleet/allocation/choose.ts';
import { Taken } from '../../fleet/allocation/taken.ts';
import { ClusterView } from '../../fleet/cluster/cluster-view.ts';
import { systemClock } from '../../shared/clock.ts';
import { silentLog } from '../../shared/log.ts';
import { type BenchCluster, deployment, type KubeObject, namespace } from './bench-cluster.ts';

export interface RolloutFigures {
  readonly rollouts: number;
  readonly sessions: number;
  readonly sessions_lost: number;
  readonly conflicts: number;
  /** After everything came to rest. */
  readonly replicas_wanted: number;
  readonly replicas_there: number;
}

export interface RolloutOptions {
  readonly rollouts: number;
  readonly allocators: number;
  readonly warm: number;
  /** Whether each allocation waits for its pod to leave the ReplicaSet. */
  readonly waits: boolean;
}

const fleets = ['blue', 'green'] as const;
const request: AllocationRequest = {
  namespace,
  sessionId: undefined,
  selectors: [{ ...anyGameServer, matchLabels: { game: 'arena' } }],
  scheduling: 'Packed',
  priorities: [],
  labels: {},
  annotations: {},
};

/** Roll-outs, scalings, rollbacks and shifts of two fleets, one after the other, beside allocators that never pause. */
export async function measureRollouts(cluster: BenchCluster, options: RolloutOptions): Promise<RolloutFigures> {
  const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  for (const name of fleets) await cluster.create(deployments, deployment(name, options.warm));
  await cluster.until('the fleets are warm', async () => {
    const found = await cluster.list(deployments);
    return found.length === fleets.length && found.every(({ status }) => status?.['readyReplicas'] === options.warm);
  });
  const over = new AbortController();
  let conflicts = 0;
  const sessions = new Map<string, { readonly uid: string; readonly name: string }>();
  const lost = new Set<string>();
  const ended = new Set<string>();
  const allocators = Array.from({ length: options.allocators }, (_, index) =>
    allocateOnAndOn(cluster, index, options.waits, over.signal, {
      onConflict: () => conflicts++,
      onSession: (uid, name) => sessions.set(uid, { uid, name }),
      onEnded: (uid) => ended.add(uid),
    }),
  );
  for (let count = 0; count < options.rollouts; count++) await disturb(cluster, count, options.warm);
  over.abort();
  await Promise.all(allocators);
  // What was chosen for deletion before the last allocation may still be on its way.
  await cluster.until('the fleets have come to rest', async () => (await cluster.list(deployments)).every(isAtRest));
  const there = new Map(
    (await cluster.list(`/api/v1/namespaces/${namespace}/pods`)).map((pod) => [pod.metadata.uid, pod]),
  );
  for (const { uid } of sessions.values()) {
    const pod = there.get(uid);
    const isThere = pod !== undefined && pod.metadata.deletionTimestamp === undefined;
    if (!isThere && !ended.has(uid)) lost.add(uid);
  }
  const unallocated = [...there.values()].filter(
    ({ metadata }) =>
      metadata.labels?.['spotable.dev/allocation'] === 'unallocated' && metadata.deletionTimestamp === undefined,
  );
  const wanted = (await cluster.list(deployments)).reduce((sum, { spec }) => sum + (spec?.replicas ?? 0), 0);
  for (const name of fleets) await cluster.remove(`${deployments}/${name}`);
  await cluster.remove(`/api/v1/namespaces/${namespace}/pods?labelSelector=game%3Darena`, { gracePeriodSeconds: 0 });
  await cluster.until('everything is gone', async () =>
    (await cluster.list(`/api/v1/namespaces/${namespace}/pods`)).every(
      ({ metadata }) => metadata.labels?.['game'] !== 'arena',
    ),
  );
  return {
    rollouts: options.rollouts,
    sessions: sessions.size,
    sessions_lost: lost.size,
    conflicts,
    replicas_wanted: wanted,
    replicas_there: unallocated.length,
  };
}

interface Listener {
  readonly onConflict: () => void;
  readonly onSession: (uid: string, name: string) => void;
  readonly onEnded: (uid: string) => void;
}

async function allocateOnAndOn(
  cluster: BenchCluster,
  index: number,
  waits: boolean,
  over: AbortSignal,
  { onConflict, onSession, onEnded }: Listener,
): Promise<void> {
  const connection = cluster.connect();
  const stop = new AbortController();
  const view = new ClusterView({ connection, namespace, clock: systemClock, log: silentLog });
  const following = view.follow(stop.signal);
  await view.complete(stop.signal);
  const allocator = new Allocator({
    ...{ connection, view, taken: new Taken(), clock: systemClock, log: silentLog, onConflict },
    isProtected: () => !waits,
    compareEquals: index % 2 === 0 ? compareNames : (a, b) => -compareNames(a, b),
    random: Math.random,
  });
  const running: { readonly uid: string; readonly name: string }[] = [];
  while (!over.aborted) {
    const outcome = await allocator.allocate(request, AbortSignal.timeout(20_000));
    if (outcome.kind === 'allocated') {
      onSession(outcome.pod.uid, outcome.pod.name);
      running.push(outcome.pod);
    }
    // The oldest of its matches ends: so many go on at a time.
    const oldest = running.length > maxSessions ? running.shift() : undefined;
    if (oldest !== undefined) {
      const path = `/api/v1/namespaces/${namespace}/pods/${oldest.name}`;
      // Still there when its match ended: it was not lost.
      const { status, body } = await cluster.get(path);
      const pod = body as KubeObject;
      if (status === 200 && pod.metadata.uid === oldest.uid && pod.metadata.deletionTimestamp === undefined) {
        onEnded(oldest.uid);
        await cluster.remove(path, { gracePeriodSeconds: 0 });
      }
    }
    await systemClock.sleep(outcome.kind === 'allocated' ? pauseMs : 5 * pauseMs, over).catch(() => {});
  }
  stop.abort();
  await following;
  connection.close();
}

const maxSessions = 25;
const pauseMs = 20;

/**
 * In turn: a new build, fewer, a rollback, more, a shift of some from one to the other. No one waits for the one
 * before.
 */
async function disturb(cluster: BenchCluster, count: number, warm: number): Promise<void> {
  const path = (name: string) => `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
  const [one, other] = count % 2 === 0 ? fleets : [fleets[1], fleets[0]];
  const build = (name: string) =>
    cluster.patch(path(one), { spec: { template: { metadata: { annotations: { build: name } } } } });
  const scale = (name: string, replicas: number) => cluster.patch(path(name), { spec: { replicas } });
  switch (count % 5) {
    case 0:
      await build(`${count}`);
      break;
    case 1:
      await scale(one, Math.ceil(warm / 4));
      break;
    case 2:
      // Back to a build that was there before, as `kubectl rollout undo` does.
      await build(`${Math.max(0, count - 2)}`);
      break;
    case 3:
      await scale(one, warm);
      break;
    case 4:
      await Promise.all([scale(one, Math.floor(warm / 2)), scale(other, warm + Math.ceil(warm / 2))]);
      break;
  }
  await systemClock.sleep(300 + Math.random() * 300);
  if (count % 5 === 4) await Promise.all(fleets.map((name) => scale(name, warm)));
}

function isAtRest({ spec, status }: KubeObject): boolean {
  const { readyReplicas = 0, replicas = 0, updatedReplicas = 0 } = (status ?? {}) as Record<string, number>;
  return [readyReplicas, replicas, updatedReplicas].every((count) => count === spec?.replicas);
}
