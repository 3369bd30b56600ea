import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedCredentials } from '../../../../sandbox/kube-client/kube-client.ts';
import { followPods } from '../../../../sandbox/kubelet/api/follow-pods.ts';
import { KubeConnection } from '../../../../shared/kubernetes/kube-connection.ts';
import { FaultyNetwork } from '../../../support/faulty-network.ts';
import { describePod, podsPath, startScene, until } from './cluster.ts';

test('each pod of the node is told when it changes or goes, also over a broken watch', async () => {
  await using scene = await startScene();
  await using network = await FaultyNetwork.start(scene.api.port);
  const told: string[] = [];
  const end = new AbortController();
  const connection = new KubeConnection(fixedCredentials(`http://127.0.0.1:${network.port}`));
  const create = (name: string) => scene.kube.create(podsPath, describePod(name, 'true'));
  const remove = (name: string) => scene.kube.remove(`${podsPath}/${name}`, { gracePeriodSeconds: 0 });
  const toldOf = (line: string) => until(line, () => told.includes(line) || undefined);
  await create('a');
  const following = followPods(
    connection,
    'n1',
    {
      changed: (pod) => told.push(`changed ${pod.metadata.name}`),
      removed: (pod) => told.push(`removed ${pod.metadata.name}`),
      reachable: (isReachable) => told.push(isReachable ? 'reachable' : 'unreachable'),
    },
    end.signal,
  );
  try {
    await toldOf('changed a');
    await create('b');
    await toldOf('changed b');
    await remove('a');
    await toldOf('removed a');
    assert.deepEqual(told, ['reachable', 'changed a', 'changed b', 'changed a', 'removed a']);
    network.refuse();
    await toldOf('unreachable');
    await remove('b');
    network.restore();
    await toldOf('removed b');
    assert.deepEqual(
      told.filter((line) => line.endsWith('reachable')),
      ['reachable', 'unreachable', 'reachable'],
    );
  } finally {
    end.abort();
    await following;
    connection.close();
  }
});
