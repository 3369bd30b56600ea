import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { expand, readEnvironment, readField } from '../../../../sandbox/kubelet/pod/environment.ts';
import { imageName, resolveCommand } from '../../../../sandbox/kubelet/pod/resolve-command.ts';
import { makeContainer, makePod } from './pods.ts';

const place = { nodeName: 'n1', address: '127.0.0.1' };

test('references are replaced as Kubernetes replaces them', () => {
  const values = new Map([
    ['PORT', '7000'],
    ['EMPTY', ''],
    ['a-b.c', 'odd'],
  ]);
  const cases: [string, string][] = [
    ['$(PORT)', '7000'],
    ['--port=$(PORT)/$(PORT)', '--port=7000/7000'],
    ['$(EMPTY)', ''],
    ['$(a-b.c)', 'odd'],
    ['$(UNKNOWN)', '$(UNKNOWN)'],
    ['$$(PORT)', '$(PORT)'],
    ['$$$(PORT)', '$7000'],
    ['$$$$(PORT)', '$$(PORT)'],
    ['$PORT $[PORT]', '$PORT $[PORT]'],
    ['$(PORT', '$(PORT'],
    ['$', '$'],
    ['100$$', '100$'],
    ['', ''],
  ];
  for (const [text, expected] of cases) assert.equal(expand(text, values), expected, text);
});

test('text without a dollar never changes, and doubling every dollar brings the text back', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const values = new Map([['A', 'replaced']]);
      assert.equal(expand(text.replaceAll('$', '$$$$'), values), text);
    }),
  );
});

test('a field reference reads what the downward API gives', () => {
  const pod = makePod(
    { labels: { app: 'game', 'a.b/c': 'x y' }, annotations: { note: 'say "hi"' } },
    { serviceAccountName: 'agent' },
  );
  const cases: [string, string][] = [
    ['metadata.name', 'gs-7'],
    ['metadata.namespace', 'arena'],
    ['metadata.uid', 'u-1'],
    ["metadata.labels['app']", 'game'],
    ["metadata.labels['a.b/c']", 'x y'],
    ["metadata.labels['missing']", ''],
    ["metadata.annotations['note']", 'say "hi"'],
    ['metadata.labels', 'a.b/c="x y"\napp="game"'],
    ['spec.nodeName', 'n1'],
    ['spec.serviceAccountName', 'agent'],
    ['status.hostIP', '127.0.0.1'],
    ['status.podIP', '127.0.0.1'],
  ];
  for (const [path, expected] of cases) assert.equal(readField(path, pod, place), expected, path);
  assert.throws(() => readField('spec.containers', pod, place), /fieldPath spec\.containers is not supported/);
});

test('later entries win and see the earlier ones, but not the later ones', () => {
  const container = makeContainer('game', {
    env: [
      { name: 'HOST', value: 'play' },
      { name: 'URL', value: '$(HOST):$(PORT)' },
      { name: 'PORT', value: '1' },
      { name: 'HOST', value: 'late-$(HOST)' },
      { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
      { name: 'PATH', value: '/opt' },
    ],
  });
  const environment = readEnvironment(container, makePod(), place, { PATH: '/bin', HOME: '/home' });
  assert.deepEqual(Object.fromEntries(environment), {
    PATH: '/opt',
    HOME: '/home',
    HOSTNAME: 'gs-7',
    HOST: 'late-play',
    URL: 'play:$(PORT)',
    PORT: '1',
    NODE: 'n1',
  });
});

test('a value from something this kubelet does not have is an error, not an empty string', () => {
  const secret = makeContainer('game', { env: [{ name: 'KEY', valueFrom: {} }] });
  assert.throws(() => readEnvironment(secret, makePod(), place, {}), /env KEY: only value and fieldRef/);
  const from = makeContainer('game', { envFrom: [{ configMapRef: { name: 'x' } }] });
  assert.throws(() => readEnvironment(from, makePod(), place, {}), /envFrom is not supported/);
});

test('a command sees the environment and the directories in place of its mounts', () => {
  const container = makeContainer('game', {
    command: ['run', '--data=/data/world'],
    args: ['--port', '$(PORT)', '/data'],
    workingDir: '/data',
    env: [
      { name: 'PORT', value: '7000' },
      { name: 'SAVE', value: '/data/save' },
    ],
  });
  const command = resolveCommand(container, {
    pod: makePod({}, { hostNetwork: true }),
    place,
    marker: 'm',
    image: {},
    imageEnvironment: { PATH: '/bin' },
    imageDirectory: '/srv',
    mounts: [{ mountPath: '/data', directory: '/tmp/v' }],
  });
  assert.deepEqual(
    { ...command, environment: Object.fromEntries(command.environment) },
    {
      marker: 'm',
      file: 'run',
      args: ['--data=/tmp/v/world', '--port', '7000', '/tmp/v'],
      directory: '/tmp/v',
      environment: { PATH: '/bin', HOSTNAME: 'n1', PORT: '7000', SAVE: '/tmp/v/save' },
    },
  );
});

const bareContext = { pod: makePod(), place, marker: 'm', imageEnvironment: {}, imageDirectory: '/', mounts: [] };

test('a container without a command runs what its image names, and cannot run where that names nothing', () => {
  const { command: _command, ...container } = makeContainer('game', { args: ['x', '/spotable/y'] });
  assert.throws(() => resolveCommand(container, { ...bareContext, image: {} }), /no command specified/);
  const image = { command: ['/spotable/start'], paths: { '/spotable': '/srv/image' } };
  const { file, args } = resolveCommand(container, { ...bareContext, image });
  assert.deepEqual([file, args], ['/srv/image/start', ['x', '/srv/image/y']]);
});

test('an image has a name without its tag and digest', () => {
  for (const suffix of ['', ':1', '@sha256:ab'])
    for (const name of ['agent', 'example.com:5000/a/agent']) assert.equal(imageName(name + suffix), name);
});
