import { systemClock } from '../../shared/clock.ts';
import type { BenchCluster } from './bench-cluster.ts';
import type { FleetProcess } from './fleet-process.ts';
import { freeBarePods } from './speed.ts';

export interface DoubleFigures {
  readonly allocations: number;
  readonly lost_answers: number;
  readonly double_allocations: number;
  readonly allocated_on_nodes_at_risk: number;
  readonly notices: number;
  readonly refused: number;
}

const atATime = 24;

/**
 * Allocations with a session id each at two replicas. Of some the answer is given up and the same is asked at the other
 * replica, at once or after a moment. Nodes are announced to go, and come back. A game server that two sessions have at
 * the same time, and a session that has two, are doubles.
 */
export async function measureDoubles(
  cluster: BenchCluster,
  replicas: readonly [FleetProcess, FleetProcess],
  nodes: readonly string[],
  count: number,
): Promise<DoubleFigures> {
  const holders = new Map<string, string>();
  const toFree: string[] = [];
  const atRisk = new Set<string>();
  const figures = { lost: 0, doubles: 0, onRisk: 0, refused: 0, notices: 0, done: 0 };
  let next = 0;
  const over = new AbortController();
  const work = async () => {
    while (next < count) {
      const id = `match-${next++}`;
      const name = await allocateOnce(id);
      if (name === undefined) continue;
      figures.done++;
      if (holders.has(name)) figures.doubles++;
      holders.set(name, id);
      toFree.push(name);
    }
  };
  const allocateOnce = async (id: string): Promise<string | undefined> => {
    const metadata = { annotations: { 'spotable.dev/session-id': id } };
    const body = { gameServerSelectors: [{ matchLabels: { game: 'bare' } }], metadata };
    const names = new Set<string>();
    for (let attempt = Math.random() < 0.5 ? 0 : 1, tries = 0; tries < 100; attempt++, tries++) {
      const isLost = Math.random() < 0.2 && tries < 5;
      const risky = new Set(atRisk);
      const replica = replicas[attempt % 2 === 0 ? 0 : 1];
      const reply = await replica.allocate(body, isLost ? Math.random() * 60 : undefined);
      if (reply === undefined) {
        figures.lost++;
        continue;
      }
      if (reply.status !== 200) {
        figures.refused++;
        await systemClock.sleep(100);
        continue;
      }
      names.add(reply.body.gameServerName ?? '');
      if (risky.has(reply.body.nodeName ?? '')) figures.onRisk++;
      // Now and then the same is asked once more, as somebody does who forgot that it was answered.
      if (Math.random() < 0.9) break;
    }
    if (names.size > 1) figures.doubles++;
    return [...names][0];
  };
  const freeing = (async () => {
    while (!over.signal.aborted || toFree.length > 0) {
      const names = toFree.splice(0, 60);
      for (const name of names) holders.delete(name);
      await freeBarePods(cluster, names);
      if (names.length === 0) await systemClock.sleep(50);
    }
  })();
  const noticing = (async () => {
    for (let at = 0; !over.signal.aborted; at++) {
      const node = nodes[at % nodes.length] ?? '';
      figures.notices++;
      await mark(cluster, node, true);
      // From here on the API server says so to everybody; the watch brings it within some milliseconds.
      await systemClock.sleep(250);
      atRisk.add(node);
      await systemClock.sleep(1500, over.signal).catch(() => {});
      atRisk.delete(node);
      await mark(cluster, node, false);
    }
  })();
  await Promise.all(Array.from({ length: atATime }, work));
  over.abort();
  await Promise.all([freeing, noticing]);
  return {
    allocations: figures.done,
    lost_answers: figures.lost,
    double_allocations: figures.doubles,
    allocated_on_nodes_at_risk: figures.onRisk,
    notices: figures.notices,
    refused: figures.refused,
  };
}

/** What the agent writes on its node at a notice, or takes back. */
async function mark(cluster: BenchCluster, node: string, isGoing: boolean): Promise<void> {
  const taint = { key: 'spotable.dev/interruption', value: 'rebalance', effect: 'NoSchedule' };
  await cluster.patch(`/api/v1/nodes/${node}`, {
    metadata: { annotations: { 'spotable.dev/interruption': isGoing ? '{}' : null } },
    spec: { unschedulable: isGoing ? true : null, taints: isGoing ? [taint] : null },
  });
}
