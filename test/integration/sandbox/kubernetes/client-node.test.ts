import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  ApiException,
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  PolicyV1Api,
  setHeaderOptions,
  type V1Pod,
  Watch,
} from '@kubernetes/client-node';
import { type ApiServer, startApiServer } from '../../../../sandbox/kubernetes/api-server.ts';
import { kubeconfigOf } from '../../../../sandbox/kubernetes/kubeconfig.ts';
import { createNode, createPod, eventually, makeReady } from './double.ts';

describe('The official JavaScript client', () => {
  let server: ApiServer;
  let core: CoreV1Api;
  const config = new KubeConfig();

  before(async () => {
    server = await startApiServer();
    config.loadFromString(kubeconfigOf(server.url));
    core = config.makeApiClient(CoreV1Api);
    createNode(server, 'n1');
  });

  after(async () => {
    await server.close();
  });

  it('lists the pods of a node', async () => {
    makeReady(server, createPod(server, 'listed', { nodeName: 'n1' }));
    createPod(server, 'elsewhere', { nodeName: 'n2' });
    const list = await core.listPodForAllNamespaces({ fieldSelector: 'spec.nodeName=n1' });
    assert.deepEqual(
      list.items.map(({ metadata }) => metadata?.name),
      ['listed'],
    );
    assert.ok(list.items[0]?.metadata?.creationTimestamp instanceof Date);
  });

  it('cordons by strategic merge patch', async () => {
    const strategic = setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch);
    const node = await core.patchNode({ name: 'n1', body: { spec: { unschedulable: true } } }, strategic);
    assert.equal(node.spec?.unschedulable, true);
  });

  it('evicts, and is told of a budget that refuses', async () => {
    for (const name of ['free', 'held']) makeReady(server, createPod(server, name, { nodeName: 'n1' }));
    const policy = config.makeApiClient(PolicyV1Api);
    const body = { metadata: { name: 'held' }, spec: { minAvailable: 1, selector: { matchLabels: { app: 'held' } } } };
    await policy.createNamespacedPodDisruptionBudget({ namespace: 'default', body });
    await eventually('the budget is observed', () => server.requests.length > 0);
    const evict = async (name: string): Promise<unknown> =>
      await core.createNamespacedPodEviction({ name, namespace: 'default', body: { metadata: { name } } });
    await evict('free');
    assert.notEqual(
      (await core.readNamespacedPod({ name: 'free', namespace: 'default' })).metadata?.deletionTimestamp,
      undefined,
    );
    await assert.rejects(evict('held'), (error) => {
      assert.ok(error instanceof ApiException);
      assert.equal(error.code, 429);
      assert.match(String(error.body), /The disruption budget held needs 1 healthy pods and has 1 currently/);
      return true;
    });
  });

  it('watches, and resumes where it ended', async () => {
    const seen: string[] = [];
    const observe = async (resourceVersion: string): Promise<AbortController> =>
      await new Watch(config).watch(
        '/api/v1/namespaces/default/pods',
        { labelSelector: 'app=watched', resourceVersion },
        (type: string, { metadata }: V1Pod) => seen.push(`${type} ${metadata?.resourceVersion}`),
        () => undefined,
      );
    const { metadata } = await core.listNamespacedPod({ namespace: 'default' });
    const first = await observe(metadata?.resourceVersion ?? '');
    const pod = createPod(server, 'watched', { nodeName: 'n1' });
    await eventually('the watch saw the pod', () => seen.length === 1);
    first.abort();
    makeReady(server, pod);
    const second = await observe(pod.metadata.resourceVersion);
    await eventually('the watch saw the change', () => seen.length === 2);
    second.abort();
    assert.deepEqual(
      seen.map((event) => event.split(' ')[0]),
      ['ADDED', 'MODIFIED'],
    );
    await assert.rejects(
      core.replaceNamespacedPod({
        name: 'watched',
        namespace: 'default',
        body: {
          ...(await core.readNamespacedPod({ name: 'watched', namespace: 'default' })),
          metadata: { name: 'watched', resourceVersion: '1' },
        },
      }),
      (error) => error instanceof ApiException && error.code === 409,
    );
  });

  it('deletes with a grace and a uid', async () => {
    const pod = createPod(server, 'deleted', { nodeName: 'n1' });
    const remove = async (uid: string): Promise<V1Pod> =>
      await core.deleteNamespacedPod({
        name: 'deleted',
        namespace: 'default',
        body: { gracePeriodSeconds: 7, preconditions: { uid } },
      });
    await assert.rejects(remove('another'), (error) => error instanceof ApiException && error.code === 409);
    const deleted = await remove(pod.metadata.uid);
    assert.equal(deleted.metadata?.deletionGracePeriodSeconds, 7);
  });
});
