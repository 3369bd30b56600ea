import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { applyGameType, readGameType } from '../../fleet/game-types/apply-game-type.ts';
import { isRefusedWith } from '../../sandbox/kube-client/kube-client.ts';
import type { Pod } from '../../sandbox/kubelet/pod/pod.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { parseManifests, readProjectFile } from '../unit/manifests/manifest-files.ts';
import type { Manifest } from '../unit/manifests/manifest-problems.ts';
import { installAll } from './support/install-fleet.ts';
import { Scene } from './support/scene.ts';
import { onCluster } from './support/test-cluster.ts';

const server = '/usr/games/minetestserver';
const longMs = 120_000;
const labels = { 'spotable.dev/game-type': 'luanti' };

async function installTypes(scene: Scene, change: (type: Manifest) => Manifest = (type) => type): Promise<void> {
  for (const file of ['crd', 'policy']) await installAll(scene.kube, `manifests/game-types/${file}.yaml`);
  const path = `/apis/spotable.dev/v1/namespaces/${scene.namespace}/gametypes`;
  for (const type of parseManifests(readProjectFile('manifests/game-types/types/luanti.yaml')))
    await eventually(
      'the API server knows GameTypes',
      () =>
        scene.kube.create(path, change(type)).then(
          () => true,
          (error: unknown) => (isRefusedWith(error, 404) ? false : Promise.reject(error)),
        ),
      longMs,
    );
  // The API server needs some seconds for a new policy and a new kind of parameter.
  await eventually(
    'the policies work',
    async () => {
      const dryRun = `${scene.path('pods')}?dryRun=All`;
      const isRefused = await scene.kube
        .create(dryRun, { metadata: { name: 'probe', labels: { 'spotable.dev/game-type': 'none' } }, spec: bare })
        .then(
          () => false,
          (error: unknown) => isRefusedWith(error, 422),
        );
      const isApplied = await scene.kube.create<Pod>(dryRun, { metadata: { name: 'probe', labels }, spec: bare }).then(
        ({ spec }) => (spec.initContainers ?? []).length > 0,
        () => false,
      );
      return isRefused && isApplied;
    },
    longMs,
  );
}

const bare = { containers: [{ name: 'game', image: 'any:1' }] };

describe('games by type', onCluster, () => {
  test('the policy makes of a pod what render makes of it, and refuses a type that nobody knows', async () => {
    await using scene = await Scene.start();
    await installTypes(scene);
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', labels }, spec: {} };
    const [document] = parseManifests(readProjectFile('manifests/game-types/types/luanti.yaml'));
    const type = readGameType(document);
    assert.ok(type !== undefined);
    const rendered = applyGameType(object, new Map([[type.name, type]])) as Pod;
    const dryRun = `${scene.path('pods')}?dryRun=All`;
    const admitted = await scene.kube.create<Pod>(dryRun, object);
    const asRendered = await scene.kube.create<Pod>(dryRun, rendered);
    const withoutName = ({ spec }: Pod) => ({
      ...spec,
      volumes: spec.volumes?.filter(({ name }) => !/^kube-api/.test(name)),
    });
    const plain = (pod: Pod) =>
      JSON.parse(JSON.stringify(withoutName(pod)).replaceAll(/kube-api-access-\w+/g, 'token')) as object;
    assert.deepEqual(plain(admitted), plain(asRendered));
    await assert.rejects(
      scene.kube.create(dryRun, { metadata: { name: 'b', labels: { 'spotable.dev/game-type': 'quake' } }, spec: bare }),
      /there is no GameType quake in this namespace/,
    );
    await scene.kube.create(dryRun, { metadata: { name: 'c' }, spec: bare });
  });

  test('a pod with nothing but a label runs Luanti, which serves', {
    skip: !existsSync(server) && `no ${server}`,
  }, async () => {
    await using scene = await Scene.start();
    const node = await scene.addNode();
    // Images are programs of this machine here, and there is no agent.
    await installTypes(scene, (type) => {
      const text = JSON.stringify(type)
        .replaceAll('/spotable/bin/tini","--","/spotable/bin/node', process.execPath)
        .replaceAll('/spotable/bin/node', process.execPath)
        .replaceAll('/spotable/wrapper.cjs', `${import.meta.dirname}/../../wrapper/main.ts`)
        .replaceAll('minetestserver"', `${server}"`);
      const { spec, ...rest } = JSON.parse(text) as Manifest & { spec: Record<string, object[]> };
      const isOurs = (one: object) =>
        !/spotable-wrapper"|"link"/.test(JSON.stringify(one)) || /luanti-settings/.test(JSON.stringify(one));
      const lists = ['volumes', 'volumeMounts', 'initContainers'].map((name) => [name, spec[name]?.filter(isOurs)]);
      return {
        ...rest,
        spec: {
          ...spec,
          ...Object.fromEntries(lists),
          env: [
            { name: 'LINK', value: 'none' },
            { name: 'HOME', value: '/game-data' },
          ],
        },
      } as Manifest;
    });
    const nodeSelector = { 'spotable.test/scene': scene.namespace };
    await scene.kube.create(scene.path('pods'), {
      metadata: { name: 'luanti', labels },
      spec: { nodeSelector, automountServiceAccountToken: false },
    });
    const lines = () => node.kubeletEvents.flatMap((one) => (one.event === 'log' ? [one.line] : []));
    const leased = await eventually(
      () =>
        `ports are leased; it said ${lines().slice(-10).join('\n')} ${JSON.stringify(node.kubeletEvents.slice(-5))}`,
      () => lines().find((line) => line.includes('"Ports leased"')),
      longMs,
    );
    const { ports } = JSON.parse(leased) as { ports: { SERVER_PORT: number } };
    await eventually(
      () => `the game is ready; it said ${lines().slice(-10).join('\n')}`,
      () => lines().some((line) => line.includes('"Game ready"')),
      longMs,
    );
    await asksLuanti(ports.SERVER_PORT);
  });
});

/**
 * Sends a client's first packet until the game answers: protocol id, no peer yet, channel 0, a reliable packet with the
 * first sequence number.
 */
async function asksLuanti(port: number): Promise<void> {
  const socket = createSocket('udp4');
  let isAnswered = false;
  socket.on('message', () => {
    isAnswered = true;
  });
  try {
    await eventually('the game answers', () => {
      socket.send(Buffer.from('4f457403000000030000ff', 'hex'), port, '127.0.0.1');
      return isAnswered;
    });
  } finally {
    socket.close();
  }
}
