import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

const main = new URL('../../../../sandbox/kubernetes/main.ts', import.meta.url).pathname;
const run = promisify(execFile);

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function finished(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  try {
    const output = await run(command, [...args], { timeout: 30_000, env: { ...process.env, ...env } });
    return { code: 0, ...output };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code: number; stdout?: string; stderr?: string };
    return { code, stdout, stderr };
  }
}

async function hasKubectl(): Promise<boolean> {
  return (await finished('kubectl', ['version', '--client'])).code === 0;
}

describe('The API double as a process', () => {
  let folder: string;
  const children: ChildProcess[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'api-double-'));
  });
  after(async () => {
    // Those that a failed test left behind.
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  async function start(...flags: string[]): Promise<{ url: string; closeStdin(): void; exited: Promise<unknown[]> }> {
    const child = spawn(process.execPath, [main, '--exit-with-parent', ...flags], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const exited = once(child, 'exit');
    for await (const line of createInterface(child.stdout)) {
      const url = /^Kubernetes API at (http:\S+)$/.exec(line)?.[1];
      if (url !== undefined) return { url, closeStdin: () => child.stdin.end(), exited };
    }
    throw new Error('It ended before it printed its URL');
  }

  it('prints its URL, writes a kubeconfig, and ends with its parent', async () => {
    const file = join(folder, 'kubeconfig');
    const server = await start('--kubeconfig-out', file);
    const config = JSON.parse(await readFile(file, 'utf8')) as { clusters: { cluster: { server: string } }[] };
    assert.equal(config.clusters[0]?.cluster.server, server.url);
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
    server.closeStdin();
    assert.deepEqual(await server.exited, [0, null]);
  });

  it('says in one line what is wrong with a flag, and exits with 64', async () => {
    const { code, stderr } = await finished(process.execPath, [main, '--port', 'x']);
    assert.equal(code, 64);
    assert.match(stderr, /^Bad --port "x": .*\n$/);
  });

  it('says in one line that its port is taken, and exits with 69', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, stderr } = await finished(process.execPath, [main, '--port', String(port)]);
    other.close();
    assert.equal(code, 69);
    assert.match(stderr, /^.*EADDRINUSE.*\n$/);
  });

  it('serves kubectl: apply, get, describe, cordon, drain, uncordon', async (context) => {
    if (!(await hasKubectl())) return context.skip('kubectl is not installed');
    const config = join(folder, 'kubectl-config');
    const server = await start('--kubeconfig-out', config);
    const kubectl = async (...args: string[]): Promise<string> => {
      const env = { KUBECONFIG: config, KUBECACHEDIR: folder };
      const { code, stdout, stderr } = await finished('kubectl', args, env);
      assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    const scene = new URL('./kubectl-scene.yaml', import.meta.url).pathname;
    await kubectl('apply', '-f', scene);
    assert.match(await kubectl('apply', '-f', scene), /node\/n1 unchanged/);
    await kubectl('wait', 'deployment/gs', '--for=jsonpath={.status.replicas}=2', '--timeout=10s');
    assert.match(await kubectl('describe', 'node', 'n1'), /Unschedulable: +false/);
    await kubectl('annotate', 'node', 'n1', 'example.com/a=b');
    await kubectl('taint', 'node', 'n1', 'example.com/t=u:NoSchedule');
    // There is no kubelet to confirm the end of a pod that has time left.
    await kubectl('drain', 'n1', '--grace-period=0', '--timeout=20s');
    const where = await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].spec.nodeName}');
    assert.doesNotMatch(where, /n1/);
    await kubectl('drain', 'n2', '--timeout=20s', '--dry-run=server');
    await kubectl('uncordon', 'n1');
    assert.match(await kubectl('get', 'nodes', '-o', 'wide'), /n1/);
    server.closeStdin();
    assert.deepEqual(await server.exited, [0, null]);
  });
});
