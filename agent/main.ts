import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import packageFile from '../package.json' with { type: 'json' };
import { systemClock } from '../shared/clock.ts';
import { exitStatus, FatalError } from '../shared/exit-status.ts';
import { type InventoryEvent, nodeEvent } from '../shared/inventory/event.ts';
import { Outbox } from '../shared/inventory/outbox.ts';
import { SqsInventory } from '../shared/inventory/sqs-inventory.ts';
import { errorText, type Log } from '../shared/log.ts';
import { MetadataClient } from '../shared/metadata/metadata-client.ts';
import { type ProgramText, startUp } from '../shared/settings/start-up.ts';
import { type AgentParts, runAgent } from './agent.ts';
import { KubeCluster } from './cluster/kube-cluster.ts';
import { KubeConnection } from './cluster/kube-connection.ts';
import { type AgentConfig, agentSettings, policyOf } from './config.ts';
import { InstanceFacts } from './instance-facts.ts';
import { pollNotices } from './interruption/poll-notices.ts';
import { LinkServer } from './link/link-server.ts';
import { nodeData } from './node-data.ts';

/** Under the 2 s that a container runtime may leave us at worst. */
const longestFlushMs = 2000;

const program: ProgramText = {
  name: 'spotable-agent',
  version: packageFile.version,
  usage: 'spotable-agent [FLAGS]',
  summary: `Watches EC2 instance metadata for spot interruptions; tells the game servers of this node, cordons it and drains it.
Finds the Kubernetes API by its service account or KUBECONFIG, AWS credentials as the AWS SDK does.`,
  footer: `Exit status: 0 after SIGTERM or SIGINT, 64 wrong flag, 69 link address in use or no Kubernetes cluster, 78 wrong
environment variable.`,
};

const start = startUp(agentSettings, program, { argv: process.argv.slice(2), env: process.env });
if (start.kind === 'end') {
  process.stdout.write(start.stdout);
  process.stderr.write(start.stderr);
  process.exitCode = start.status;
} else {
  process.exitCode = await main(start.values);
}

async function main(config: AgentConfig): Promise<number> {
  const log = pino({ name: 'agent', level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const { queueUrl, metadataEndpoint, ...settings } = config;
  log.info({ ...settings, queueUrl: queueUrl?.href, metadataEndpoint: metadataEndpoint.href }, 'Agent starts');
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  try {
    await compose(config, log, stop.signal);
    return 0;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    process.stderr.write(`${program.name}: ${error.message}\n`);
    return error.status;
  } finally {
    stop.abort();
  }
}

/** Puts the parts together and runs them until told to stop; the first one that fails ends all. */
async function compose(config: AgentConfig, log: Log, signal: AbortSignal): Promise<void> {
  const { nodeName, link: address, pollIntervalMs: intervalMs, safetyMarginMs, podUid: agentUid } = config;
  const clock = systemClock;
  const metadata = new MetadataClient({ endpoint: config.metadataEndpoint, clock });
  const instance = new InstanceFacts({ metadata, clock, log });
  const connection = connectToCluster();
  const cluster = new KubeCluster({ connection, nodeName, clock, log });
  const outbox = config.queueUrl && makeOutbox(config, config.queueUrl, log, () => link);
  const publish = (event: InventoryEvent) => outbox?.add(event);
  const link: LinkServer = new LinkServer({
    address,
    nodeName,
    log,
    clock,
    instance: () => instance.known,
    isOwnPod: ({ pod_uid: uid }) => cluster.pods().some((pod) => pod.uid === uid),
    ...(outbox && { publish }),
  });
  const countNodeEvents = counter();
  const parts: AgentParts = {
    observe: (until) =>
      pollNotices({ metadata, clock, log, intervalMs, instanceId: () => instance.known.instanceId ?? nodeName }, until),
    cluster,
    link,
    publishNode: (state, interruption) =>
      publish(nodeEvent(nodeData(nodeName, instance.known, state, interruption, countNodeEvents()), clock.now())),
    clock,
    log,
    policy: policyOf(config),
    safetyMarginMs,
    agentUid,
  };
  await Promise.all([
    runAgent(parts, signal),
    cluster.follow(signal),
    link.serve(signal),
    instance.learn(signal),
    outbox && sendUntilStopped(outbox, log, signal),
  ]);
  metadata.close();
  await connection.close();
}

function connectToCluster(): KubeConnection {
  const kubeConfig = new KubeConfig();
  try {
    kubeConfig.loadFromDefault();
    return new KubeConnection(kubeConfig);
  } catch (error) {
    throw new FatalError(`Cannot load the Kubernetes configuration: ${errorText(error)}`, {
      status: exitStatus.config,
      cause: error,
    });
  }
}

function makeOutbox({ region }: AgentConfig, queueUrl: URL, log: Log, link: () => LinkServer): Outbox {
  const endpoint = process.env['AWS_ENDPOINT_URL_SQS'] ?? process.env['AWS_ENDPOINT_URL'];
  return new Outbox({
    inventory: new SqsInventory({ queueUrl: queueUrl.href, region, endpoint }),
    clock: systemClock,
    log,
    onPublished: (ids) => link().published(ids),
    onRefused: (events) => link().refused(events),
  });
}

/** What is still waiting when the agent is told to stop gets a little time to leave; then it is named in the log. */
async function sendUntilStopped(outbox: Outbox, log: Log, signal: AbortSignal): Promise<void> {
  const flushed = new AbortController();
  const sending = outbox.run(flushed.signal);
  await once(signal);
  const unsent = await outbox.flush(AbortSignal.timeout(longestFlushMs));
  if (unsent.length > 0) log.error({ unsent: unsent.map(({ id, type }) => ({ id, type })) }, 'Inventory events lost');
  flushed.abort();
  await sending;
}

function once(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function counter(): () => number {
  let count = 0;
  return () => ++count;
}
