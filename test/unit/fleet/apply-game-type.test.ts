import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applyGameType, type GameType, readGameType } from '../../../fleet/game-types/apply-game-type.ts';
import { filesBelow, parseManifests, readProjectFile } from '../manifests/manifest-files.ts';

const shipped = filesBelow('manifests/game-types/types', '.yaml')
  .flatMap((file) => parseManifests(readProjectFile(file)))
  .map((document) => readGameType(document))
  .filter((type) => type !== undefined);
const types = new Map<string, GameType>(shipped.map((type) => [type.name, type]));
const labels = { 'spotable.dev/game-type': 'luanti' };

interface Rendered {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
  readonly spec: {
    readonly hostNetwork: boolean;
    readonly containers: readonly { readonly name: string; readonly image: string; readonly args: readonly string[] }[];
    readonly initContainers: readonly { readonly name: string }[];
    readonly volumes: readonly { readonly name: string }[];
  };
}

describe('a game type', () => {
  test('the shipped ones are there, with the wrapper in front of the game and an init container for what its image lacks', () => {
    assert.deepEqual([...types.keys()].sort(), ['luanti', 'openttd', 'teeworlds']);
    for (const { wrapper, initContainers, volumes } of types.values()) {
      assert.ok(wrapper.includes('/spotable/wrapper.cjs'));
      assert.equal(initContainers.length, 2);
      assert.ok(volumes.length > 0);
    }
  });

  test('makes a game server of a pod that has nothing but a label', () => {
    const pod = applyGameType({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', labels }, spec: {} }, types);
    const { metadata, spec } = pod as Rendered;
    assert.equal(metadata.annotations['spotable.dev/game-type-applied'], 'luanti');
    assert.deepEqual(
      spec.containers.map(({ name, args }) => [name, args[0]]),
      [['game', 'minetestserver']],
    );
    assert.deepEqual(
      spec.initContainers.map(({ name }) => name),
      ['spotable-wrapper', 'luanti-settings'],
    );
    assert.equal(spec.hostNetwork, true);
  });

  test('adds to what a template has, and once only', () => {
    const container = { name: 'arena', image: 'x', env: [{ name: 'A', value: 'b' }] };
    const spec = { containers: [container, { name: 'sidecar' }], volumes: [{ name: 'mine' }] };
    const deployment = { kind: 'Deployment', spec: { replicas: 2, template: { metadata: { labels }, spec } } };
    const once = applyGameType(deployment, types) as { spec: { template: Rendered } };
    const { containers, volumes } = once.spec.template.spec;
    assert.deepEqual(
      containers.map(({ name }) => name),
      ['arena', 'sidecar'],
    );
    assert.equal(volumes[0]?.name, 'mine');
    assert.deepEqual(applyGameType(once, types), once);
  });

  test('that nobody knows is refused, and what bears none is left alone', () => {
    const unknown = { kind: 'Pod', metadata: { labels: { 'spotable.dev/game-type': 'quake' } } };
    assert.throws(() => applyGameType(unknown, types), /No GameType quake: there are luanti, openttd, teeworlds/);
    const service = { kind: 'Service', spec: {} };
    assert.equal(applyGameType(service, types), service);
    assert.throws(
      () => readGameType({ apiVersion: 'spotable.dev/v1', kind: 'GameType', metadata: { name: 'x' } }),
      /image/,
    );
  });
});
