import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../../../sandbox/kubelet/parse-flags.ts';

const needed = ['--server', 'http://127.0.0.1:1', '--node', 'n1'];

test('all flags are taken, in their units', () => {
  const flags = parseFlags([
    ...needed,
    ...[
      '--token',
      't',
      '--root',
      '/tmp/r',
      '--address',
      '127.0.0.2',
      '--label',
      'a=b',
      '--label',
      'c=d=e',
      '--env',
      'LANG=C',
    ],
    ...[
      '--max-pods',
      '20',
      '--start-delay',
      '300ms',
      '--restart-backoff',
      '2m',
      '--pod-end-delay',
      '1500ms..4s',
      '--exit-with-parent',
    ],
  ]);
  assert.deepEqual(flags, {
    kind: 'run',
    root: '/tmp/r',
    exitWithParent: true,
    environment: { LANG: 'C' },
    server: { kind: 'url', url: 'http://127.0.0.1:1', token: 't' },
    options: {
      node: 'n1',
      address: '127.0.0.2',
      labels: { a: 'b', c: 'd=e' },
      maxPods: 20,
      startDelayMs: 300,
      restartBackoffMs: 120_000,
      podEndDelayMs: { min: 1500, max: 4000 },
    },
  });
});

test('what is not given is left to the kubelet', () => {
  const options = { node: 'n1', labels: {} };
  assert.deepEqual(parseFlags(needed), {
    kind: 'run',
    root: undefined,
    exitWithParent: false,
    environment: {},
    server: { kind: 'url', url: 'http://127.0.0.1:1', token: undefined },
    options,
  });
});

test('all problems are said together, each with flag, value and what was expected', () => {
  const flags = parseFlags(['--server', 'ftp://x', '--label', 'x', '--start-delay', '3', '--max-pods', '0']);
  assert.deepEqual(flags, {
    kind: 'bad',
    problems: [
      '--server ftp://x: expected an http:// URL',
      '--node is missing: expected a DNS name',
      '--label x: expected KEY=VALUE',
      '--max-pods 0: expected a number from 1 to 999999',
      '--start-delay 3: expected a duration such as 500ms, 5s or 2m',
    ],
  });
});

test('an unknown flag and a stray word are problems', () => {
  for (const argv of [['--nope'], ['stray'], ['--token']]) assert.equal(parseFlags(argv).kind, 'bad', argv.join());
});

test('--help needs nothing else', () => {
  assert.deepEqual(parseFlags(['--help']), { kind: 'help' });
});
