import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { kubeconfigOf } from '../control-plane/control-plane.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { Scene } from './support/scene.ts';
import { onCluster, testCluster } from './support/test-cluster.ts';

const fanout = new URL('../../fanout/main.ts', import.meta.url).pathname;
/** On a machine that is busy with other tests. */
const startMs = 90_000;
const replica = new URL('../integration/fanout/fixtures/replica.ts', import.meta.url).pathname;

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Writes a kubeconfig of a service account that may only list and watch pods in the namespace. Returns its path. */
async function writeReader({ kube, namespace }: Scene, folder: string): Promise<string> {
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const metadata = { name: 'fanout' };
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await kube.create(accounts, { metadata });
  await kube.create(`${rbac}/roles`, {
    metadata,
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }],
  });
  await kube.create(`${rbac}/rolebindings`, {
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'fanout' },
    subjects: [{ kind: 'ServiceAccount', name: 'fanout', namespace }],
  });
  const { status = {} } = await kube.create(`${accounts}/fanout/token`, { spec: {} });
  const { url, authority } = testCluster();
  const path = join(folder, 'kubeconfig');
  await writeFile(path, kubeconfigOf(url, authority, String(status['token'])), { mode: 0o600 });
  return path;
}

describe("the fan-out proxy's pods", onCluster, () => {
  test('are found by their label, at the port that they declare or are annotated with, and left when they go', async () => {
    await using scene = await Scene.start();
    const node = await scene.addNode();
    const folder = await mkdtemp(join(tmpdir(), 'fanout-pods-'));
    const addReplica = async (name: string, say: (port: number) => { annotations?: object; ports?: object[] }) => {
      const port = await freeUdpPort();
      const { annotations = {}, ports = [] } = say(port);
      const command = [process.execPath, replica, name, String(port)];
      await scene.kube.create(scene.path('pods'), {
        metadata: { name, labels: { match: 'm-7' }, annotations },
        spec: {
          nodeName: node.name,
          containers: [{ name: 'game', image: 'none:1', command, ports }],
          terminationGracePeriodSeconds: 1,
          automountServiceAccountToken: false,
        },
      });
      await scene.podRuns(name);
    };
    const env = { ...process.env, KUBECONFIG: await writeReader(scene, folder) };
    const flags = ['--listen', '127.0.0.1:0', '--operations', '127.0.0.1:0', '--transport', 'dgram'];
    const selection = ['--pod-selector', 'match=m-7', '--pod-namespace', scene.namespace];
    const proxy = spawn(process.execPath, [fanout, ...flags, ...selection], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const player = createSocket('udp4');
    try {
      const log: Record<string, unknown>[] = [];
      createInterface(proxy.stderr).on('line', (line) => log.push(JSON.parse(line)));
      const serves = await eventually(
        'the proxy serves',
        () => log.find(({ msg }) => msg === 'Fan-out proxy listening'),
        startMs,
      );
      const answers: string[] = [];
      player.on('message', (message) => answers.push(String(message).split(' ')[0] ?? ''));
      const isAnsweredBy = (name: string) =>
        eventually(`the player hears ${name}`, () => {
          player.send('hello', Number(serves['port']), '127.0.0.1');
          return answers.at(-1) === name;
        });
      await addReplica('declares', (containerPort) => ({
        ports: [{ name: 'server-port', containerPort, protocol: 'UDP' }],
      }));
      await isAnsweredBy('declares');
      await addReplica('annotated', (port) => ({ annotations: { 'spotable.dev/port.SERVER_PORT': String(port) } }));
      await scene.kube.remove(scene.path('pods', 'declares'));
      await isAnsweredBy('annotated');
      assert.equal(proxy.exitCode, null);
    } finally {
      player.close();
      proxy.kill('SIGKILL');
      await rm(folder, { recursive: true });
    }
  });
});
