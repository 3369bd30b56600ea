import { formatDuration } from '../../shared/duration.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { PlayerReport } from '../game/player.ts';
import type { Pod } from '../kubernetes/objects.ts';
import { pods as podResource } from '../kubernetes/registry/table.ts';
import { isoSeconds } from '../metadata/notices.ts';
import { QueueConsumer } from './consumer.ts';
import { type DemoEvent, readDemoEvent } from './demo-event.ts';
import type { DemoConfig } from './demo-settings.ts';
import { type FanoutDemo, startFanout } from './fanout.ts';
import { countReceived, isInventoryTrue, isUp } from './judge-inventory.ts';
import { openPage } from './page.ts';
import { DemoRecord, waitUntil } from './record.ts';
import { queueName, type Sandbox, type SandboxNode, startSandbox, writeKubeconfig } from './sandbox.ts';
import {
  agentDaemonSet,
  agentNamespace,
  agentPod,
  agentRole,
  agentRoleBinding,
  budgetFor,
  type CloudSettings,
  type GameGroup,
  gameDeployment,
  gameGroups,
  gameNamespace,
  matchGroup,
} from './scenario.ts';
import type { Screen } from './screen.ts';
import { type DemoSummary, summarize } from './summary.ts';
import { inventoryTable } from './table.ts';
import { describe } from './timeline.ts';

/** Enough for a busy machine with two cores to start a hundred games. */
const maxStartMs = 60_000;
/** After the deadline the last events may still be on their way to the queue. */
const maxEpilogueMs = 5000;

/** State that the steps below share. */
interface Stage {
  readonly config: DemoConfig;
  readonly sandbox: Sandbox;
  readonly record: DemoRecord;
  readonly consumer: QueueConsumer;
  readonly cloud: CloudSettings;
  readonly kubeconfig: string;
  readonly screen: Screen;
  readonly signal: AbortSignal;
}

/**
 * The demo: two nodes, games on the first one, a spot notice for it, and everything that follows, observed from
 * outside. Agents, wrappers and games are real processes, started by a kubelet as in a cluster.
 */
export async function runDemo(config: DemoConfig, screen: Screen, signal: AbortSignal): Promise<DemoSummary> {
  await using sandbox = await startSandbox();
  await using extras = new AsyncDisposableStack();
  const stage = await setStage(config, sandbox, screen, signal);
  const reading = new AbortController();
  const consuming = stage.consumer.run(AbortSignal.any([signal, reading.signal]));
  try {
    const page =
      config.page || config.fanout ? extras.adopt(await openPage(stage.consumer), ({ close }) => close()) : undefined;
    if (config.page) screen.note(`Open ${page?.url} to watch`);
    const doomed = await addNode(stage, 'node-a', 'i-0aaaaaaaaaaaaaaaa', 'eu-west-1a', '198.51.100.10');
    const pods = await startGames(stage, doomed);
    await addNode(stage, 'node-b', 'i-0bbbbbbbbbbbbbbbb', 'eu-west-1b', '198.51.100.20');
    const players = page && config.fanout ? extras.use(await admitPlayers(stage, page.url)) : undefined;
    screen.section('Inventory before', inventoryTable(stage.consumer.rows()));
    const deadlineMs = await announce(stage, doomed);
    await waitForEnd(stage, pods, deadlineMs, players !== undefined);
    const podsLeft = podsLeftOn(stage, doomed);
    if (config.rehearseMs === undefined) await takeInstance(stage, doomed);
    screen.section('Inventory after', inventoryTable(stage.consumer.rows()));
    const summary = conclude(stage, pods, podsLeft, await players?.dismissPlayers());
    screen.summary(summary);
    if (config.keep) await keepRunning(stage);
    return summary;
  } finally {
    reading.abort();
    await consuming;
  }
}

async function setStage(config: DemoConfig, sandbox: Sandbox, screen: Screen, signal: AbortSignal): Promise<Stage> {
  const { queue, client } = sandbox;
  for (const name of [gameNamespace, agentNamespace])
    await client.create('/api/v1/namespaces', { metadata: { name } }, { signal });
  const accounts = `/api/v1/namespaces/${agentNamespace}/serviceaccounts`;
  await client.create(accounts, { metadata: { name: 'agent' } }, { signal });
  await client.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', agentRole, { signal });
  await client.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', agentRoleBinding, { signal });
  const isWorthTelling = quietener();
  const record = new DemoRecord((demoEvent) => {
    if (isWorthTelling(demoEvent)) screen.line(describe(demoEvent, originOf(record), screen.paint));
  });
  return {
    config,
    sandbox,
    record,
    screen,
    signal,
    consumer: new QueueConsumer(queue.endpoint, queue.queueUrl(queueName)),
    cloud: { queueUrl: queue.queueUrl(queueName), sqsEndpoint: queue.endpoint },
    kubeconfig: await writeKubeconfig(sandbox, agentNamespace, 'agent'),
  };
}

/** Real game servers print a lot, and their output is not the subject. */
const maxLinesPerGame = 8;

function quietener(): (demoEvent: DemoEvent) => boolean {
  const lines = new Map<string, number>();
  return (demoEvent) => {
    if (demoEvent.kind !== 'game-said') return true;
    const count = (lines.get(demoEvent.pod) ?? 0) + 1;
    lines.set(demoEvent.pod, count);
    return count <= maxLinesPerGame;
  };
}

/** Times count from the notice; before it, from the start. */
function originOf({ demoEvents }: DemoRecord): number {
  return (
    (demoEvents.find(({ kind }) => kind === 'notice-announced' || kind === 'rehearsal-asked') ?? demoEvents[0])?.atMs ??
    Date.now()
  );
}

async function addNode(
  stage: Stage,
  name: string,
  instanceId: string,
  zone: string,
  publicIp: string,
): Promise<SandboxNode> {
  const { sandbox, record, screen, kubeconfig, cloud, signal } = stage;
  let isAgentUp = false;
  screen.note(`Starting ${name}: an instance with a kubelet and the agent`);
  const node = await sandbox.addNode({
    name,
    instanceId,
    zone,
    publicIp,
    onLine: (line) => {
      isAgentUp ||= line.includes('Link server listening');
      const demoEvent = readDemoEvent(line, name);
      if (demoEvent !== undefined) record.add(demoEvent);
    },
  });
  const daemonSets = `/apis/apps/v1/namespaces/${agentNamespace}/daemonsets`;
  const { items } = await sandbox.client.list(daemonSets, { signal });
  const daemonSet = items[0] ?? (await sandbox.client.create(daemonSets, agentDaemonSet, { signal }));
  const pod = agentPod(name, kubeconfig, cloud, daemonSet.metadata.uid ?? '');
  await sandbox.client.create(`/api/v1/namespaces/${agentNamespace}/pods`, pod, { signal });
  await expectWithin(
    waitUntil(() => isAgentUp, maxStartMs, signal),
    `the agent on ${name} to start`,
  );
  return node;
}

/** Starts the games and waits until the inventory reports all of them as ready. Returns the names of their pods. */
async function startGames(stage: Stage, node: SandboxNode): Promise<readonly string[]> {
  const { config, sandbox, consumer, cloud, screen, signal } = stage;
  screen.note(`Starting ${config.gameServers} game servers on ${node.name}`);
  const groups = [...gameGroups(config), ...(config.fanout ? [matchGroup] : [])];
  const count = groups.reduce((sum, { replicas }) => sum + replicas, 0);
  for (const group of groups) await createGroup(sandbox, group, cloud, signal);
  const areReady = () => consumer.rows().filter(isUp).length === count;
  await expectWithin(waitUntil(areReady, maxStartMs, signal), `${count} games to be ready`);
  return consumer.rows().flatMap(({ pod }) => pod ?? []);
}

async function createGroup(
  { client }: Sandbox,
  group: GameGroup,
  cloud: CloudSettings,
  signal: AbortSignal,
): Promise<void> {
  const base = `namespaces/${gameNamespace}`;
  if (group.isGuarded)
    await client.create(`/apis/policy/v1/${base}/poddisruptionbudgets`, budgetFor(group), { signal });
  await client.create(`/apis/apps/v1/${base}/deployments`, gameDeployment(group, cloud), { signal });
}

/** Triggers the interruption: EC2's notice, or an annotation for a rehearsal. Returns the node's deadline. */
async function announce({ config, sandbox, record, signal }: Stage, { name, metadata }: SandboxNode): Promise<number> {
  if (config.rehearseMs !== undefined) {
    const deadlineMs = Date.now() + config.rehearseMs;
    record.add({ kind: 'rehearsal-asked', atMs: Date.now(), node: name, deadlineMs });
    const annotations = { 'spotable.dev/rehearse': formatDuration(config.rehearseMs) };
    await sandbox.client.patch(`/api/v1/nodes/${name}`, 'merge', { metadata: { annotations } }, { signal });
    return deadlineMs;
  }
  const time = isoSeconds(Date.now() + config.noticeMs);
  const deadlineMs = Date.parse(time);
  if (config.apiDown) {
    await sandbox.api.close();
    record.add({ kind: 'api-down', atMs: Date.now() });
  }
  record.add({ kind: 'notice-announced', atMs: Date.now(), deadlineMs });
  metadata.announce('spot', { action: 'terminate', time });
  return deadlineMs;
}

async function takeInstance({ record }: Stage, node: SandboxNode): Promise<void> {
  await node.take();
  record.add({ kind: 'instance-taken', atMs: Date.now(), node: node.name });
}

/**
 * Connects players through the fan-out proxy to the replica on the doomed node, then starts a second replica elsewhere.
 */
async function admitPlayers(stage: Stage, inventoryUrl: string): Promise<FanoutDemo> {
  const { sandbox, record, consumer, screen, signal } = stage;
  screen.note('Starting the fan-out proxy, three players, and a second replica of their match');
  const fanout = await startFanout({
    inventoryUrl,
    matchType: matchGroup.name,
    onPrimary: (replica, atMs) => record.add({ kind: 'primary-changed', atMs, replica }),
    onReport: (report) => record.add({ kind: 'players-report', atMs: Date.now(), report }),
  });
  try {
    await fanout.admitPlayers(signal);
    const deployment = `/apis/apps/v1/namespaces/${gameNamespace}/deployments/${matchGroup.name}`;
    await sandbox.client.patch(deployment, 'merge', { spec: { replicas: 2 } }, { signal });
    const replicas = () => consumer.rows().filter((row) => row.type === matchGroup.name && isUp(row));
    await expectWithin(
      waitUntil(() => replicas().length === 2, maxStartMs, signal),
      'the second replica',
    );
    return fanout;
  } catch (error) {
    await fanout[Symbol.asyncDispose]();
    throw error;
  }
}

async function waitForEnd(
  { config, record, consumer, screen, signal }: Stage,
  pods: readonly string[],
  deadlineMs: number,
  hasPlayers: boolean,
): Promise<void> {
  const has = (kind: 'pod-gone' | 'game-ended', pod: string) =>
    record.demoEvents.some((demoEvent) => demoEvent.kind === kind && 'pod' in demoEvent && demoEvent.pod === pod);
  const isOver = () => {
    screen.status(statusLine(deadlineMs, pods.filter((pod) => !has('game-ended', pod)).length));
    const areGone = pods.every((pod) => has(config.apiDown ? 'game-ended' : 'pod-gone', pod));
    const ready = consumer.rows().filter(isUp).length;
    const areReplaced = config.apiDown || ready === pods.length + (hasPlayers ? 1 : 0);
    const isGivenBack =
      config.rehearseMs === undefined || record.demoEvents.some(({ kind }) => kind === 'node-uncordoned');
    return areGone && areReplaced && isGivenBack && isInventoryTrue(consumer.rows(), record.demoEvents, pods);
  };
  await waitUntil(isOver, deadlineMs - Date.now() + maxEpilogueMs, signal);
}

function statusLine(deadlineMs: number, playing: number): string {
  const left = Math.max(0, (deadlineMs - Date.now()) / 1000);
  return `${left.toFixed(1)} s until the deadline of node-a, ${playing} games on it`;
}

/** Game pods that are still on the node, read from the API server's store, because the API may be unreachable. */
function podsLeftOn({ sandbox }: Stage, { name }: SandboxNode): readonly string[] {
  const isLeft = ({ metadata, spec }: Pod) => metadata.namespace === gameNamespace && spec.nodeName === name;
  return sandbox.api.store
    .list(podResource)
    .filter(isLeft)
    .map(({ metadata }) => metadata.name);
}

function conclude(
  { config, sandbox, record, consumer }: Stage,
  pods: readonly string[],
  podsLeft: readonly string[],
  players: PlayerReport | undefined,
): DemoSummary {
  const groups = gameGroups(config);
  const stubborn = groups.filter(({ isStubborn }) => isStubborn).map(({ name }) => name);
  return summarize(record.demoEvents, {
    scenario: scenarioOf(config),
    noticeMs: config.rehearseMs ?? config.noticeMs,
    isApiDown: config.apiDown,
    pods,
    stubborn: pods.filter((pod) => stubborn.some((name) => pod.startsWith(`${name}-`))),
    podsLeft,
    eventsPublished: sandbox.queue.messagesTaken,
    eventsReceived: countReceived(consumer.events),
    isInventoryConsistent: isInventoryTrue(consumer.rows(), record.demoEvents, pods) && consumer.refused.length === 0,
    players,
  });
}

function scenarioOf({ apiDown, rehearseMs }: DemoConfig): string {
  if (rehearseMs !== undefined) return 'rehearsal';
  return apiDown ? 'api-down' : 'spot-termination';
}

/** Prints all addresses and waits for Ctrl-C. */
async function keepRunning({ sandbox, screen, cloud, signal }: Stage): Promise<void> {
  screen.note(`Kubernetes API ${sandbox.api.url}, queue ${cloud.queueUrl}`);
  screen.note('Everything goes on running. Ctrl-C ends it.');
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function expectWithin(isMet: Promise<boolean>, what: string): Promise<void> {
  if (!(await isMet))
    throw new FatalError(`Cannot go on: waited in vain for ${what}`, { status: exitStatus.unavailable });
}
