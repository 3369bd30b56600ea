import { uptime } from 'node:os';
import { pino } from 'pino';
import packageFile from '../package.json' with { type: 'json' };
import { CheckedClock } from '../shared/checked-clock.ts';
import { systemClock } from '../shared/clock.ts';
import { type InventoryEvent, nodeEvent } from '../shared/events/event.ts';
import { Outbox } from '../shared/events/outbox.ts';
import { SqsInventory } from '../shared/events/sqs-inventory.ts';
import { FatalError } from '../shared/exit-status.ts';
import { spotNoticePath } from '../shared/interruption/parse-spot-notice.ts';
import { connectToKubernetes } from '../shared/kubernetes/connect.ts';
import type { ConnectionListeners, KubeConnection } from '../shared/kubernetes/kube-connection.ts';
import type { Log } from '../shared/log.ts';
import { MetadataClient } from '../shared/metadata/metadata-client.ts';
import { type HealthServerOptions, serveHealth } from '../shared/operations/health-server.ts';
import { type ProgramText, startUp } from '../shared/settings/start-up.ts';
import { stderrWriter } from '../shared/stderr-writer.ts';
import { aborted } from '../shared/until-aborted.ts';
import { AccountId } from './account-id.ts';
import { Agent, type AgentParts } from './agent.ts';
import { type Departure, LifecycleHook } from './auto-scaling/lifecycle-hook.ts';
import { DryRunCluster } from './cluster/dry-run-cluster.ts';
import { KubeCluster } from './cluster/kube-cluster.ts';
import { TokenReviewer } from './cluster/review-token.ts';
import { type AgentConfig, agentSettings, policyOf } from './config.ts';
import { selectPods } from './drain/select-pods.ts';
import { GameServerKeeper } from './game-servers/game-server-keeper.ts';
import { ApiMonitor } from './health/api-monitor.ts';
import { type HealthInputs, livenessProblems, readinessProblems } from './health/health.ts';
import { PollMonitor } from './health/poll-monitor.ts';
import { deletionRight, RightsReviewer } from './health/review-rights.ts';
import { InstanceFacts } from './instance-facts.ts';
import { placeOf, placeOfProviderId } from './interruption/ec2/ec2-place.ts';
import { Ec2Source } from './interruption/ec2/ec2-source.ts';
import type { NoticeSource } from './interruption/notice-source.ts';
import { metadataSources } from './interruption/notices/metadata-sources.ts';
import { pollNotices, type ReadingOutcome } from './interruption/poll-notices.ts';
import { linkInWallTime } from './link/link-in-wall-time.ts';
import { type LinkListener, LinkServer } from './link/link-server.ts';
import { namesPodOfNode, verifyHello } from './link/verify-hello.ts';
import { nodeData } from './node-data.ts';
import { NodeKeeper } from './node-state/node-keeper.ts';
import { releaseMemory } from './release-memory.ts';
import type { EventSink, JournalParts } from './reporting/interruption-journal.ts';
import { KubeEvents } from './reporting/kube-events.ts';
import { AgentMetrics } from './reporting/metrics.ts';
import { type NodePlace, Webhook } from './reporting/webhook.ts';
import { finishDrain } from './shut-down.ts';

/** Below the 2 s that a container runtime may leave at worst. */
const maxFlushMs = 2000;
const clock = new CheckedClock({ wall: systemClock, monotonicMs: () => performance.now() });
const write = stderrWriter('agent');

const program: ProgramText = {
  name: 'spotable-agent',
  version: packageFile.version,
  usage: 'spotable-agent [FLAGS]',
  summary: `Watches EC2 instance metadata for spot interruptions; tells the game servers of this node, cordons it and drains it.
Finds the Kubernetes API by its service account or KUBECONFIG, AWS credentials as the AWS SDK does.`,
  footer: `Exit status: 0 after SIGTERM or SIGINT, 64 wrong flag, 78 wrong environment variable or no
Kubernetes cluster. A second SIGTERM ends it at once.`,
};

const start = startUp(agentSettings, program, { argv: process.argv.slice(2), env: process.env });
if (start.kind === 'end') {
  process.stdout.write(start.stdout);
  write(start.stderr);
  process.exitCode = start.status;
} else {
  // Not awaited: a CommonJS bundle has no top-level await. A bug rejects, which ends the process with its stack trace.
  void main(start.values).then((status) => {
    process.exitCode = status;
  });
}

async function main(config: AgentConfig): Promise<number> {
  const log = pino({ name: 'agent', level: config.logLevel }, { write });
  // The webhook's path and headers and the proxy's password are secrets.
  const { queueUrl, metadataEndpoint, webhookUrls, webhookHeaders, webhookProxy, ...settings } = config;
  const urls = {
    queueUrl: queueUrl?.href,
    metadataEndpoint: metadataEndpoint.href,
    webhookHosts: webhookUrls.map(({ host }) => host),
    webhookHeaders: Object.keys(webhookHeaders),
    webhookProxy: webhookProxy?.host,
  };
  log.info({ ...settings, ...urls }, 'Agent starts');
  const stop = new AbortController();
  const asked = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => (asked.signal.aborted ? stop : asked).abort());
  try {
    await compose(config, log, { asked: asked.signal, stop });
    return 0;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    write(`${program.name}: ${error.message}\n`);
    return error.status;
  } finally {
    stop.abort();
  }
}

interface Ending {
  /** The process was asked to end, and finishes its work first. */
  readonly asked: AbortSignal;
  readonly stop: AbortController;
}

/** Creates all parts and runs them until stopped. The first one that fails ends all. */
async function compose(config: AgentConfig, log: Log, { asked, stop }: Ending): Promise<void> {
  const { nodeName, dryRun, metricsPort } = config;
  const { signal } = stop;
  const metrics = new AgentMetrics(program.version);
  const pollMonitor = new PollMonitor();
  const apiMonitor = new ApiMonitor();
  const onCall: Required<ConnectionListeners>['onCall'] = (method, status, ms) => {
    metrics.called(method, status, ms);
    apiMonitor.called(status);
    if (status === undefined || status === 403) rights.doubt();
  };
  const { connection, cluster } = await connectToCluster(config, log, { metrics, onCall });
  const { metadata, instance, ec2, observe } = createNoticeSources({ config, log, metrics, pollMonitor, cluster });
  const mustWait = () => agent.response?.isAsking === true;
  const { link, outbox, publishNode } = createLinkAndOutbox(
    { config, log, metrics, connection, cluster, instance },
    (uid, code) => agent.response?.journal.gameEnded(uid, code),
  );
  const events = new KubeEvents({ connection, nodeName, node: () => cluster.node(), clock, log, mustWait });
  const rights: RightsReviewer = new RightsReviewer({ connection, clock, log, mustWait });
  const webhooks = createWebhooks(config, { log, metrics, metadata, instance, cluster, signal });
  const actors = dryRun
    ? dryRunActors(cluster, log)
    : { cluster, link: linkInWallTime(link, clock), publishNode, events, tell: webhooks.tell };
  const keeper = new NodeKeeper({ cluster: actors.cluster, clock, log });
  const agent: Agent = new Agent({
    ...actors,
    ...{ keeper, observe, clock, log },
    journal: { node: nodeName, clock, log, metrics, events: actors.events, tell: actors.tell },
    ...chosenBehaviour(config),
    mayDelete: () => !rights.latest.missingOptional.includes(deletionRight),
  });
  metrics.watch({
    lastGoodPollAgeSeconds: () => pollMonitor.spotAgeMs / 1000,
    linkedWrappers: () => link.wrappers,
    inventoryWaiting: () => outbox?.size ?? 0,
    missingRights: () => rights.latest.missing.length,
    clockSkewSeconds: () => (clock.skewMs ?? 0) / 1000,
    kubernetesSilentSeconds: () => apiMonitor.silentMs / 1000,
    cordonPendingSeconds: () => (agent.response?.journal.cordonPendingMs ?? 0) / 1000,
    deafAddresses: () => link.missingAddresses.length,
  });
  const { lifecycleHook: hookName } = config;
  const isReporting = () => events.isBusy || webhooks.areBusy() || (outbox?.size ?? 0) > 0;
  const departure = () => departureOf(agent);
  const place = () => placeOf(instance.known);
  const isHooked = hookName !== undefined && !dryRun;
  const hook = isHooked ? new LifecycleHook({ hookName, place, departure, isReporting, clock, log }) : undefined;
  const gameServers = new GameServerKeeper({ connection, cluster, link, clock, log, mustWait });
  const healthInputs = () => healthInputsOf(config, { pollMonitor, apiMonitor, link, cluster, rights });
  await Promise.all([
    ...[agent, keeper, events, rights, ec2].map((part) => part.run(signal)),
    cluster.follow(signal),
    link.serve(signal),
    instance.learn(signal),
    webhooks.learnAccount(),
    releaseMemory(clock, signal),
    metricsPort !== undefined && serveHealth(healthOptions(metricsPort, metrics, healthInputs, log), signal),
    outbox && sendUntilStopped(outbox, log, signal),
    !dryRun && gameServers.run(signal),
    hook?.run(signal),
    finishDrain({ agent, clock, log, maxMs: config.shutdownTimeMs, isReporting }, asked, stop),
  ]);
  metadata.close();
  connection.close();
}

/** The settings of a response, converted to its options. */
function chosenBehaviour(config: AgentConfig) {
  return {
    policy: policyOf(config),
    safetyMarginMs: config.safetyMarginMs,
    agentUid: config.podUid,
    excludeFromLoadBalancers: config.excludeFromLoadBalancers,
    marksOutOfService: config.outOfServiceTaint,
    selection: selectPods(config.drainNamespaces, config.drainSelector),
    graceOverrideSeconds: config.graceOverrideMs && Math.ceil(config.graceOverrideMs / 1000),
    waitsForVolumes: config.waitForVolumes,
    // A dry run sets no mark, so none can be missing.
    reassertsMark: config.reassertMark && !config.dryRun,
  };
}

/** Connects to the Kubernetes API, which shows this node and its pods and changes them. */
async function connectToCluster(
  { nodeName }: AgentConfig,
  log: Log,
  { metrics, onCall }: { readonly metrics: AgentMetrics } & Required<Pick<ConnectionListeners, 'onCall'>>,
): Promise<ClusterParts> {
  const connection = await connectToKubernetes(process.env, { onCall, onDate: clock.listen('kubernetes', log) });
  const onGarbage = () => metrics.garbage('kubernetes');
  return { connection, cluster: new KubeCluster({ connection, nodeName, clock, log, onGarbage }) };
}

interface ClusterParts {
  readonly connection: KubeConnection;
  readonly cluster: KubeCluster;
}

interface NoticeParts {
  readonly config: AgentConfig;
  readonly log: Log;
  readonly metrics: AgentMetrics;
  readonly pollMonitor: PollMonitor;
  readonly cluster: KubeCluster;
}

/** All sources of interruption notices. */
function createNoticeSources({ config, log, metrics, pollMonitor, cluster }: NoticeParts) {
  const metadata = new MetadataClient({
    endpoint: config.metadataEndpoint,
    clock,
    onDate: clock.listen('metadata', log),
    onRequest: (ms) => metrics.metadataAsked(ms),
  });
  const placeOfNode = () => placeOfProviderId(cluster.node()?.providerId);
  const instance = new InstanceFacts({ metadata, placeOfNode, clock, log });
  const identity = (until: AbortSignal) => instance.identity(() => config.nodeName, until);
  const bootedAtMs = () => clock.now() - uptime() * 1000;
  const ec2 = new Ec2Source({
    ...{ clock, log, identity, bootedAtMs },
    metadataSilentMs: () => pollMonitor.silentMs,
    place: () => placeOf(instance.known),
  });
  const sources = [
    ...metadataSources({ metadata, clock, identity, bootedAtMs, rebalanceTtlMs: config.rebalanceTtlMs }),
    ec2.source,
  ];
  const onReading = ({ name, kinds }: NoticeSource, outcome: ReadingOutcome) => {
    metrics.reading(name, outcome);
    if (outcome === 'garbage') metrics.garbage('metadata');
    const isRead = outcome === 'read' || outcome === 'partial';
    if (isRead && kinds.length > 0) pollMonitor.read(name === spotNoticePath);
  };
  const observe = (until: AbortSignal) =>
    pollNotices(
      {
        ...{ sources, clock, log, intervalMs: config.pollIntervalMs, onReading },
        onRemark: () => metrics.garbage('metadata'),
        onLook: () => pollMonitor.looked(),
      },
      until,
    );
  return { metadata, instance, ec2, observe };
}

interface LinkParts extends Omit<NoticeParts, 'pollMonitor'> {
  readonly connection: KubeConnection;
  readonly instance: InstanceFacts;
}

/** The link to the wrappers, and the outbox for their events and ours. */
function createLinkAndOutbox(
  { config, log, metrics, connection, cluster, instance }: LinkParts,
  onTerminated: LinkListener['onTerminated'],
) {
  const { nodeName, link: addresses, queueUrl, linkTrust } = config;
  const outbox = queueUrl && makeOutbox(config, queueUrl, { log, metrics, link: () => link });
  const publish = (event: InventoryEvent) => outbox?.add(event);
  const tokens = new TokenReviewer(connection, nodeName);
  const pods = () => cluster.pods();
  const reviewToken = (token: string, until: AbortSignal) => tokens.review(token, until);
  const link: LinkServer = new LinkServer({
    ...{ addresses, nodeName, log, clock },
    instance: () => instance.known,
    verify: (hello, until) =>
      verifyHello({ pods, reviewToken: linkTrust === 'token' ? reviewToken : undefined }, hello, until),
    namesPodOfNode: (hello) => namesPodOfNode(pods(), hello),
    ...(outbox && { publish }),
    listener: { onGarbage: () => metrics.garbage('link'), onLost: () => metrics.lost(), onTerminated },
  });
  const nextSequence = eventCounter();
  const publishNode: AgentParts['publishNode'] = (state, interruption) =>
    publish(nodeEvent(nodeData(nodeName, instance.known, state, interruption, nextSequence()), clock.now()));
  return { link, outbox, publishNode };
}

/** The state of the response to the Auto Scaling group's termination, or of the drain in progress when it began. */
function departureOf(agent: Agent): Departure {
  if (!agent.isAnnounced('asg-termination')) return 'staying';
  if (agent.response?.isOver === true) return 'done';
  return agent.response?.isBusy === true ? 'leaving' : 'staying';
}

interface WebhookParts extends Pick<NoticeParts, 'log' | 'metrics' | 'cluster'> {
  readonly metadata: MetadataClient;
  readonly instance: InstanceFacts;
  readonly signal: AbortSignal;
}

function createWebhooks(config: AgentConfig, { log, metrics, metadata, instance, cluster, signal }: WebhookParts) {
  const { webhookUrls, webhookFormat: format, webhookHeaders: headers, webhookProxy: proxy } = config;
  const accountId = new AccountId({ metadata, clock });
  const place = () => nodePlace(instance, accountId, cluster);
  const onGivenUp = () => metrics.webhookGivenUp();
  const webhooks = webhookUrls.map((url) => new Webhook({ url, format, headers, proxy, place, onGivenUp, clock, log }));
  const tell: JournalParts['tell'] = (report, deadlineMs) => {
    for (const webhook of webhooks) void webhook.send(report, deadlineMs, signal);
  };
  return {
    tell,
    areBusy: () => webhooks.some(({ isBusy }) => isBusy),
    learnAccount: async () => (webhooks.length > 0 ? accountId.learn(signal) : undefined),
  };
}

function nodePlace({ known }: InstanceFacts, accountId: AccountId, cluster: KubeCluster): NodePlace {
  return {
    instance_id: known.instanceId ?? null,
    instance_type: known.instanceType ?? null,
    region: known.region ?? null,
    zone: known.zone ?? null,
    account_id: accountId.known ?? null,
    node_labels: cluster.node()?.labels ?? {},
  };
}

/** Replaces everything that changes something in a dry run, and logs what would be done. */
function dryRunActors(cluster: KubeCluster, log: Log) {
  const link: AgentParts['link'] = {
    announce: ({ id }, endByMs) => {
      log.info({ id, endByMs }, 'Dry run: would tell wrappers');
      return { told: 0, firstMs: clock.now(), lastMs: clock.now() };
    },
    cancel: () => 0,
    occupancies: () => new Map(),
  };
  const events: EventSink = { onNode: () => {}, onPod: () => {} };
  const publishNode: AgentParts['publishNode'] = (state) => log.info({ state }, 'Dry run: would publish');
  const tell: JournalParts['tell'] = () => {};
  return { cluster: new DryRunCluster(cluster, log), link, publishNode, events, tell };
}

interface Health {
  readonly pollMonitor: PollMonitor;
  readonly apiMonitor: ApiMonitor;
  readonly link: LinkServer;
  readonly cluster: KubeCluster;
  readonly rights: RightsReviewer;
}

function healthInputsOf(
  { pollIntervalMs }: AgentConfig,
  { pollMonitor, apiMonitor, link, cluster, rights }: Health,
): HealthInputs {
  return {
    pollIntervalMs,
    stalledMs: pollMonitor.stalledMs,
    spotAgeMs: pollMonitor.hasReadSpot ? pollMonitor.spotAgeMs : undefined,
    apiSilentMs: apiMonitor.silentMs,
    deafOn: link.missingAddresses,
    seesNode: cluster.node() !== undefined,
    seesPods: cluster.pods() !== undefined,
    rights: rights.latest,
  };
}

function healthOptions(
  port: number,
  { registry }: AgentMetrics,
  healthInputs: () => HealthInputs,
  log: Log,
): HealthServerOptions {
  return {
    port,
    clock,
    log,
    metrics: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    liveness: () => livenessProblems(healthInputs()),
    readiness: () => readinessProblems(healthInputs()),
    remarks: () => healthInputs().rights.missingOptional.map((right) => `does without: ${right}`),
  };
}

interface OutboxParts {
  readonly log: Log;
  readonly metrics: AgentMetrics;
  readonly link: () => LinkServer;
}

function makeOutbox({ region }: AgentConfig, queueUrl: URL, { log, metrics, link }: OutboxParts): Outbox {
  const endpoint = process.env['AWS_ENDPOINT_URL_SQS'] ?? process.env['AWS_ENDPOINT_URL'];
  return new Outbox({
    inventory: new SqsInventory({ queueUrl: queueUrl.href, region, endpoint }),
    clock,
    log,
    onPublished: (ids) => {
      metrics.published('published', ids.length);
      link().published(ids);
    },
    onRefused: (events) => {
      metrics.published('refused', events.length);
      link().refused(events);
    },
  });
}

/** When the agent is stopped, waiting events get a little time to be sent. The log names those that were not. */
async function sendUntilStopped(outbox: Outbox, log: Log, signal: AbortSignal): Promise<void> {
  const flushed = new AbortController();
  const sending = outbox.run(flushed.signal);
  await aborted(signal);
  const unsent = await outbox.flush(AbortSignal.timeout(maxFlushMs));
  if (unsent.length > 0) log.error({ unsent: unsent.map(({ id, type }) => ({ id, type })) }, 'Inventory events lost');
  flushed.abort();
  await sending;
}

/** Starts at the epoch second, so that the events of a restarted agent come after those of the previous one. */
function eventCounter(): () => number {
  let count = Math.floor(clock.now() / 1000);
  return () => ++count;
}
