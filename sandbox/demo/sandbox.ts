import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fixedCredentials, KubeClient } from '../kube-client/kube-client.ts';
import { admin } from '../kubernetes/access/user.ts';
import { type ApiServer, startApiServer } from '../kubernetes/api-server.ts';
import { type MetadataService, startMetadataService } from '../metadata/metadata-service.ts';
import { type QueueService, startQueueService } from '../sqs/queue-service.ts';

/** EC2, Kubernetes and SQS on one machine; nodes join one by one. */
export interface Sandbox extends AsyncDisposable {
  readonly directory: string;
  readonly api: ApiServer;
  readonly client: KubeClient;
  readonly queue: QueueService;
  /** Starts another EC2 instance with a kubelet on it. `onLine` gets each line of the kubelet's output. */
  addNode(options: NodeOptions): Promise<SandboxNode>;
}

export interface NodeOptions {
  readonly name: string;
  readonly instanceId: string;
  readonly zone: string;
  readonly publicIp: string;
  readonly onLine: (line: string) => void;
}

export interface SandboxNode {
  readonly name: string;
  readonly metadata: MetadataService;
  /** AWS takes the instance: everything on it ends at once. */
  take(): Promise<void>;
}

export const queueName = 'inventory.fifo';
const adminToken = 'sandbox-admin';
/** Enough for a kubelet to end its pods. */
const maxStopMs = 5000;

export async function startSandbox(): Promise<Sandbox> {
  const directory = await mkdtemp(join(tmpdir(), 'spotable-demo-'));
  const api = await startApiServer({ tokens: { [adminToken]: admin } });
  const queue = await startQueueService({ queues: [{ name: queueName }] });
  const client = new KubeClient(fixedCredentials(api.url, { token: adminToken }));
  const stops: Array<() => Promise<void>> = [];
  return {
    directory,
    api,
    client,
    queue,
    addNode: async (options) => {
      const { instanceId, zone, publicIp } = options;
      const metadata = await startMetadataService({ instance: { instanceId, zone, publicIp, lifeCycle: 'spot' } });
      const link = join(directory, `${options.name}.link`);
      const kubelet = startKubelet({ apiUrl: api.url, metadataUrl: metadata.url, link }, options);
      stops.push(async () => {
        await endKubelet(kubelet, 'SIGTERM');
        await metadata.close();
      });
      return { name: options.name, metadata, take: () => endKubelet(kubelet, 'SIGUSR2') };
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(stops.map((stop) => stop()));
      await Promise.allSettled([api.close(), queue.close()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Writes a kubeconfig for a service account. Returns its path. */
export async function writeKubeconfig(
  { directory, api }: Sandbox,
  namespace: string,
  serviceAccount: string,
): Promise<string> {
  const path = join(directory, `${serviceAccount}.kubeconfig`);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'sandbox',
    // The client library refuses plain HTTP unless TLS verification is off.
    clusters: [{ name: 'sandbox', cluster: { server: api.url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: serviceAccount, user: { token: api.issueToken(namespace, serviceAccount) } }],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: serviceAccount } }],
  };
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

interface NodeAddresses {
  readonly apiUrl: string;
  readonly metadataUrl: string;
  /** A socket in our folder, where nobody else can listen: a wrapper believes an agent that it finds there. */
  readonly link: string;
}

function startKubelet({ apiUrl, metadataUrl, link }: NodeAddresses, { name, onLine }: NodeOptions): ChildProcess {
  const entry = join(import.meta.dirname, '..', 'kubelet', 'main.ts');
  const flags = [
    '--server',
    apiUrl,
    '--node',
    name,
    '--token',
    adminToken,
    '--start-delay',
    '200ms',
    '--exit-with-parent',
  ];
  // Real instances all use one metadata address. Here they share a machine, so each node gets its own.
  const environment = ['--env', `METADATA_ENDPOINT=${metadataUrl}`, '--env', `LINK=${link}`];
  const kubelet = spawn(process.execPath, [entry, ...flags, ...environment], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  // Its stdin, which tells it to end, may already be closed.
  kubelet.stdin?.on('error', () => {});
  if (kubelet.stdout !== null) createInterface({ input: kubelet.stdout }).on('line', onLine);
  return kubelet;
}

async function endKubelet(kubelet: ChildProcess, signal: 'SIGTERM' | 'SIGUSR2'): Promise<void> {
  if (kubelet.exitCode !== null || kubelet.signalCode !== null) return;
  const exited = once(kubelet, 'exit');
  kubelet.kill(signal);
  const timer = setTimeout(() => kubelet.kill('SIGKILL'), maxStopMs);
  await exited;
  clearTimeout(timer);
}
