import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ControlPlane extends AsyncDisposable {
  /** `https://127.0.0.1:PORT` of the API server. */
  readonly url: string;
  /** Folder for everything that it writes; removed at the end. */
  readonly folder: string;
  /** Path of an administrator's kubeconfig, and its content: the API server's authority (PEM) and a token. */
  readonly kubeconfig: string;
  readonly authority: string;
  readonly adminToken: string;
  /** A file with one audit.k8s.io/v1 Event (level Metadata, stage ResponseComplete) per line. */
  readonly auditLog: string;
  /** Rejects as soon as one of the components ends by itself. */
  readonly broken: Promise<never>;
}

export interface ControlPlaneOptions {
  /** Path of the program that `provideBinary` found. */
  readonly binary: string;
  /** Called with each line that a component logs. */
  readonly onLog?: (component: string, line: string) => void;
  /**
   * More flags for kube-controller-manager. Its rate limit is set too high to matter in a test; a flag here can lower
   * it.
   */
  readonly controllerManagerFlags?: readonly string[];
}

type Component = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler';

const startLimitMs = 120_000;
const users = {
  admin: { name: 'admin', groups: 'system:masters' },
  'kube-controller-manager': { name: 'system:kube-controller-manager', groups: '' },
  'kube-scheduler': { name: 'system:kube-scheduler', groups: '' },
} as const;
type UserName = keyof typeof users;
const userNames = Object.keys(users) as readonly UserName[];

/**
 * Starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler on loopback and resolves when they are ready.
 * All of it ends with this process, however that ends.
 * @throws Error with the last lines of the component that did not start
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const folder = await mkdtemp(join(tmpdir(), 'spotable-control-plane-'));
  const sweeper = spawnSweeper(folder);
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => {});
  const children: ChildProcess[] = [];
  const run = (component: Component, flags: readonly string[]) =>
    children.push(startComponent(component, flags, folder, options, broken.reject));
  const ended = new AbortController();
  const limit = AbortSignal.any([ended.signal, AbortSignal.timeout(startLimitMs)]);
  const end = async () => {
    ended.abort();
    await Promise.all(children.map(kill));
    await rm(folder, { recursive: true, force: true });
    await kill(sweeper);
  };
  try {
    const port = await findFreePort();
    const tokens = await writeSecrets(folder);
    run('etcd', etcdFlags(folder));
    run('kube-apiserver', apiServerFlags(folder, port));
    const url = `https://127.0.0.1:${port}`;
    const start = async () => {
      const authority = await poll(async () => {
        const found = await readFile(join(folder, 'apiserver.crt'), 'utf8');
        await ask(`${url}/readyz`, found, tokens.admin);
        return found;
      }, limit);
      for (const name of userNames)
        await writeFile(kubeconfigPath(folder, name), kubeconfigOf(url, authority, tokens[name]), { mode: 0o600 });
      run('kube-controller-manager', [...controllerManagerFlags(folder), ...(options.controllerManagerFlags ?? [])]);
      run('kube-scheduler', kubeconfigFlags(folder, 'kube-scheduler'));
      // The API server refuses pods until the controller manager has created their namespace's service account.
      const account = `${url}/api/v1/namespaces/default/serviceaccounts/default`;
      await poll(() => ask(account, authority, tokens.admin), limit);
      return authority;
    };
    const authority = await Promise.race([start(), broken.promise]);
    const files = { kubeconfig: kubeconfigPath(folder, 'admin'), auditLog: join(folder, 'audit.log') };
    const adminToken = tokens.admin;
    return { url, folder, authority, adminToken, ...files, broken: broken.promise, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

function startComponent(
  component: Component,
  flags: readonly string[],
  folder: string,
  { binary, onLog }: ControlPlaneOptions,
  onEnd: (error: Error) => void,
): ChildProcess {
  // A process group of its own, because Ctrl-C is for the caller. The component always ends with its stdin.
  const child = spawn(binary, [component, ...flags], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      last.push(line);
      if (last.length > 20) last.shift();
      onLog?.(component, line);
    });
  child.stdin.on('error', () => {});
  child.once('error', onEnd);
  child.once('exit', (code, signal) => onEnd(new Error(`${component} ended (${signal ?? code}):\n${last.join('\n')}`)));
  return child;
}

/** Removes the folder when this process is gone, even after a kill. The components end at the same moment. */
function spawnSweeper(folder: string): ChildProcess {
  const script = 'cat > /dev/null; until rm -rf "$0" 2> /dev/null; do sleep 0.1; done';
  const sweeper = spawn('/bin/sh', ['-c', script, folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  sweeper.stdin?.on('error', () => {});
  return sweeper;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Another process may take the port before it is used; then the start fails. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('The system gave no port');
  return address.port;
}

async function writeSecrets(folder: string): Promise<Record<UserName, string>> {
  const tokens = Object.fromEntries(userNames.map((name) => [name, randomBytes(24).toString('hex')]));
  const lines = userNames.map((name) => `${tokens[name]},${users[name].name},${name},"${users[name].groups}"`);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived', 'ResponseStarted'],
    rules: [{ level: 'Metadata' }],
  };
  const files = {
    'tokens.csv': lines.join('\n'),
    'service-accounts.pem': privateKey.export({ type: 'sec1', format: 'pem' }),
    'audit-policy.json': JSON.stringify(policy),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 });
  return tokens as Record<UserName, string>;
}

/** Use a socket in place of a port. The advertised addresses matter only to a cluster of several members. */
function etcdFlags(folder: string): readonly string[] {
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=unix://${join(folder, 'etcd.sock')}`,
    '--advertise-client-urls=http://localhost:2379',
    `--listen-peer-urls=unix://${join(folder, 'etcd-peer.sock')}`,
    '--initial-advertise-peer-urls=http://localhost:2380',
    '--initial-cluster=default=http://localhost:2380',
    '--unsafe-no-fsync',
  ];
}

function apiServerFlags(folder: string, port: number): readonly string[] {
  const key = join(folder, 'service-accounts.pem');
  return [
    `--etcd-servers=unix://${join(folder, 'etcd.sock')}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    // The API server creates a self-signed certificate for 127.0.0.1 there.
    `--cert-dir=${folder}`,
    '--advertise-address=127.0.0.1',
    // The reconciler would refuse an endpoint on loopback and retry for ever.
    '--endpoint-reconciler-type=none',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=Node,RBAC',
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    `--audit-policy-file=${join(folder, 'audit-policy.json')}`,
    `--audit-log-path=${join(folder, 'audit.log')}`,
    // In megabytes; a larger log would continue in another file.
    '--audit-log-maxsize=10000',
  ];
}

function controllerManagerFlags(folder: string): readonly string[] {
  return [
    ...kubeconfigFlags(folder, 'kube-controller-manager'),
    `--service-account-private-key-file=${join(folder, 'service-accounts.pem')}`,
    `--root-ca-file=${join(folder, 'apiserver.crt')}`,
    '--use-service-account-credentials',
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
  ];
}

function kubeconfigFlags(folder: string, name: UserName): readonly string[] {
  return [
    `--kubeconfig=${kubeconfigPath(folder, name)}`,
    `--authentication-kubeconfig=${kubeconfigPath(folder, name)}`,
    `--authorization-kubeconfig=${kubeconfigPath(folder, name)}`,
    '--leader-elect=false',
    '--secure-port=0',
  ];
}

function kubeconfigPath(folder: string, name: UserName): string {
  return join(folder, `${name}.kubeconfig`);
}

/** JSON is YAML. */
export function kubeconfigOf(server: string, authority: string, token: string): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        cluster: { server, 'certificate-authority-data': Buffer.from(authority).toString('base64') },
      },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
  return JSON.stringify(config, null, 2);
}

/** @throws Error unless the status is 200 */
async function ask(url: string, ca: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const asked = get(url, { ca, headers, agent: false, timeout: 5000 }, (response) => response.resume());
  asked.on('timeout', () => asked.destroy(new Error(`No answer from ${url}`)));
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`${url} answers ${response.statusCode}`);
}

/** The result of the first `look` that succeeds. Rejects when the signal aborts. */
async function poll<T>(look: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await look();
    } catch {
      await sleep(50, undefined, { signal });
    }
  }
}
