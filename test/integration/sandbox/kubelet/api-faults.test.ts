import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fixedCredentials } from '../../../../sandbox/kube-client/kube-client.ts';
import type { Pod } from '../../../../sandbox/kubelet/pod/pod.ts';
import { FaultyNetwork } from '../../../support/faulty-network.ts';
import { isAlive, podsPath, startCluster, startScene, until } from './cluster.ts';

const idle = 'while :; do sleep 0.05; done';

describe('a kubelet whose API server fails', { concurrency: 4 }, () => {
  test('keeps pods running and restarting while the server is away, and reports later', async () => {
    await using scene = await startScene();
    await using wire = await FaultyNetwork.start(scene.api.port);
    await using cluster = await startCluster(
      { credentials: fixedCredentials(`http://127.0.0.1:${wire.port}`), restartBackoffMs: 50 },
      scene,
    );
    await cluster.run('steady', `echo up; ${idle}`);
    await cluster.run('crashing', 'sleep 0.1; exit 4');
    await cluster.podWhen('steady', 'is Running', ({ status }) => status?.phase === 'Running');
    wire.refuse();
    await cluster.events.next('api-unreachable');
    const before = cluster.events.of('container-started', 'crashing').length;
    await until('two more lives', () => cluster.events.of('container-started', 'crashing')[before + 1]);
    const reported = (await cluster.pod('crashing'))?.status?.containerStatuses?.[0]?.restartCount ?? 0;
    assert.ok(reported < before + 1, 'nothing gets through a cut wire');
    const [started] = cluster.events.of('container-started', 'steady');
    assert.equal(await isAlive(started?.pid ?? 0), true);
    wire.restore();
    await cluster.podWhen('crashing', 'tells of its restarts', ({ status }) => {
      return (status?.containerStatuses?.[0]?.restartCount ?? 0) >= before + 1;
    });
    assert.equal(cluster.events.of('container-started', 'steady').length, 1);
    const told = cluster.events.all.map(({ event }) => event).filter((event) => event.startsWith('api-'));
    for (const [index, event] of told.entries()) assert.notEqual(event, told[index + 1], 'told on change only');
  });

  test('learns after a broken watch what happened meanwhile: a new pod, a deleted one, one deleted by force', async () => {
    await using scene = await startScene();
    await using wire = await FaultyNetwork.start(scene.api.port);
    await using cluster = await startCluster({ credentials: fixedCredentials(`http://127.0.0.1:${wire.port}`) }, scene);
    for (const name of ['old', 'forced']) {
      await cluster.run(name, `echo up; ${idle}`);
      await cluster.events.line(name, 'up');
    }
    wire.refuse();
    await cluster.events.next('api-unreachable');
    await cluster.kube.remove(`${podsPath}/old`, { gracePeriodSeconds: 2 });
    await cluster.kube.remove(`${podsPath}/forced`, { gracePeriodSeconds: 0 });
    await cluster.run('new', `echo up; ${idle}`);
    assert.equal(cluster.events.of('pod-seen', 'new').length, 0);
    wire.restore();
    await cluster.events.line('new', 'up');
    await cluster.events.next('pod-gone', 'old');
    await cluster.events.next('pod-gone', 'forced');
  });

  test('ends and kills on time a pod whose deletion it knows of, although the server is away', async () => {
    await using scene = await startScene();
    await using wire = await FaultyNetwork.start(scene.api.port);
    await using cluster = await startCluster({ credentials: fixedCredentials(`http://127.0.0.1:${wire.port}`) }, scene);
    await cluster.run('gs', `trap "" TERM; echo up; ${idle}`);
    await cluster.events.line('gs', 'up');
    await cluster.podWhen('gs', 'is Running', ({ status }) => status?.phase === 'Running');
    await cluster.kube.remove(`${podsPath}/gs`, { gracePeriodSeconds: 2 });
    await cluster.events.next('container-signalled', 'gs');
    wire.refuse();
    assert.equal((await cluster.events.next('container-exited', 'gs')).exitCode, 137);
    assert.equal((await cluster.pod('gs'))?.status?.phase, 'Running');
    wire.restore();
    await cluster.events.next('pod-gone', 'gs');
    assert.equal(await cluster.pod('gs'), undefined);
  });

  test('starts its pods once the server comes, if it was not there at first', async () => {
    await using scene = await startScene();
    await using wire = await FaultyNetwork.start(scene.api.port);
    wire.refuse();
    await using cluster = await startCluster({ credentials: fixedCredentials(`http://127.0.0.1:${wire.port}`) }, scene);
    await cluster.events.next('api-unreachable');
    await cluster.run('gs', `echo up; ${idle}`);
    wire.restore();
    await cluster.events.next('node-registered');
    await cluster.events.line('gs', 'up');
  });

  test('registers and runs although every call fails at first', async () => {
    await using cluster = await startCluster();
    cluster.api.faults.add({ path: '/n9', fault: { kind: 'reset' }, times: 2 });
    cluster.api.faults.add({ path: '/api/v1/nodes', fault: { kind: 'status', status: 503 }, times: 2 });
    cluster.api.faults.add({ path: 'n9', fault: { kind: 'garbage' }, times: 2 });
    await using other = await startCluster({ credentials: fixedCredentials(cluster.api.url), node: 'n9' });
    await other.events.next('node-registered');
    await until('the lease', async () => {
      const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n9';
      return cluster.kube.get(path).catch(() => undefined);
    });
  });

  test('confirms an end once its refusals stop: status first, then the deletion', async () => {
    await using cluster = await startCluster();
    await cluster.run('gs', `trap "exit 0" TERM; echo up; ${idle}`);
    await cluster.events.line('gs', 'up');
    await cluster.podWhen('gs', 'is Running', ({ status }) => status?.phase === 'Running');
    await cluster.kube.remove(`${podsPath}/gs`, { gracePeriodSeconds: 5 });
    cluster.api.faults.add({ method: 'PATCH', path: '/gs/status', fault: { kind: 'status', status: 500 }, times: 2 });
    cluster.api.faults.add({
      method: 'DELETE',
      path: '/gs$',
      fault: { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
      times: 1,
    });
    const statuses: string[] = [];
    for await (const event of cluster.kube.watch<Pod>(podsPath)) {
      if (event.type === 'BOOKMARK' || event.type === 'ERROR') continue;
      statuses.push(`${event.type} ${event.object.status?.phase}`);
      if (event.type === 'DELETED') break;
    }
    assert.equal(statuses.at(-1), 'DELETED Succeeded');
    await cluster.events.next('pod-gone', 'gs');
  });

  test('does not take another pod of the same name for its own', async () => {
    await using cluster = await startCluster();
    await cluster.run('gs', `trap "sleep 0.4; exit 0" TERM; echo first; ${idle}`);
    await cluster.events.line('gs', 'first');
    await cluster.kube.remove(`${podsPath}/gs`, { gracePeriodSeconds: 0 });
    const second = await cluster.run('gs', `echo second; ${idle}`);
    await cluster.events.line('gs', 'second');
    await until('the first is gone', () => cluster.events.of('pod-gone', 'gs')[0]);
    const pod = await cluster.podWhen('gs', 'is Running', ({ status }) => status?.phase === 'Running');
    assert.equal(pod.metadata.uid, second.metadata.uid);
    assert.equal(pod.metadata.deletionTimestamp, undefined);
    assert.equal(cluster.events.of('pod-gone', 'gs').length, 1);
  });

  test('waits for a token it cannot get yet, and a pod deleted meanwhile goes all the same', async () => {
    await using cluster = await startCluster();
    const withToken = {
      spec: {
        serviceAccountName: 'late',
        volumes: [{ name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }],
      },
    };
    await cluster.run('waits', `echo up; ${idle}`, withToken);
    await cluster.run('goes', `echo up; ${idle}`, withToken);
    assert.match((await cluster.events.next('volumes-failed', 'waits')).message, /404|not found/);
    await cluster.kube.remove(`${podsPath}/goes`);
    await cluster.events.next('pod-gone', 'goes');
    await cluster.kube.create('/api/v1/namespaces/arena/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'late', namespace: 'arena' },
    });
    await cluster.events.line('waits', 'up');
  });

  test('keeps the cordon and the annotations of a node that exists', async () => {
    await using cluster = await startCluster();
    await cluster.events.next('node-registered');
    const node = '/api/v1/nodes/n1';
    await cluster.kube.patch(node, 'merge', {
      metadata: { annotations: { mine: 'yes' } },
      spec: { unschedulable: true },
    });
    await using again = await startCluster({ credentials: fixedCredentials(cluster.api.url), labels: { zone: 'a' } });
    await again.events.next('node-registered');
    const found = await cluster.kube.get(node);
    assert.equal(found.spec?.['unschedulable'], true);
    assert.deepEqual([found.metadata.annotations?.['mine'], found.metadata.labels?.['zone']], ['yes', 'a']);
  });
});

describe('readiness', { concurrency: 4 }, () => {
  const isReady = (pod: Pod): boolean =>
    pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  const probe = { periodSeconds: 0.05, failureThreshold: 1 };
  const state = {
    spec: { volumes: [{ name: 'state', emptyDir: {} }] },
    mounts: [{ name: 'state', mountPath: '/state' }],
  };

  test('follows a probe that runs a command, both ways', async () => {
    await using cluster = await startCluster();
    const script = `on=$0; trap "rm $on" HUP; sleep 0.2; touch $on; ${idle}`;
    await cluster.run('gs', '', {
      spec: state.spec,
      container: {
        command: ['sh', '-c', script, '/state/on'],
        volumeMounts: state.mounts,
        readinessProbe: { exec: { command: ['sh', '-c', 'test -e $ON'] }, ...probe },
        env: [{ name: 'ON', value: '/state/on' }],
      },
    });
    const started = await cluster.events.next('container-started', 'gs');
    assert.equal(
      isReady(await cluster.podWhen('gs', 'is Running', ({ status }) => status?.phase === 'Running')),
      false,
    );
    await cluster.podWhen('gs', 'is ready', isReady);
    process.kill(started.pid, 'SIGHUP');
    await cluster.podWhen('gs', 'is unready', (pod) => !isReady(pod));
  });

  test('follows HTTP and TCP probes, by number and by name', async () => {
    await using cluster = await startCluster();
    const port = new URL(cluster.api.url).port;
    const container = (readinessProbe: object): object => ({
      readinessProbe,
      ports: [{ name: 'api', containerPort: Number(port) }],
    });
    await cluster.run('http', idle, {
      container: container({ httpGet: { path: '/readyz', port: Number(port) }, ...probe }),
    });
    await cluster.run('named', idle, { container: container({ httpGet: { path: '/readyz', port: 'api' }, ...probe }) });
    await cluster.run('tcp', idle, { container: container({ tcpSocket: { port: 'api' }, ...probe }) });
    await cluster.run('missing', idle, {
      container: container({ httpGet: { path: '/no/such', port: 'api' }, ...probe }),
    });
    await cluster.run('closed', idle, { container: container({ tcpSocket: { port: 1 }, ...probe }) });
    for (const name of ['http', 'named', 'tcp']) await cluster.podWhen(name, 'is ready', isReady);
    for (const name of ['missing', 'closed']) {
      const pod = await cluster.podWhen(name, 'is Running', ({ status }) => status?.phase === 'Running');
      assert.equal(isReady(pod), false, name);
    }
  });
});
