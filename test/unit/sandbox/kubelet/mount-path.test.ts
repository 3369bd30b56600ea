import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rewritePaths } from '../../../../sandbox/kubelet/pod/mount-path.ts';

const mounts = [
  { mountPath: '/data', directory: '/v/data' },
  { mountPath: '/data/deep/', directory: '/v/deep' },
  { mountPath: '/a+b', directory: '/v/plus' },
];

test('a path below a mount names the directory that stands in for it', () => {
  const cases: [string, string][] = [
    ['/data', '/v/data'],
    ['/data/', '/v/data/'],
    ['/data/x', '/v/data/x'],
    ['/data/deep/x', '/v/deep/x'],
    ['/data/deeper', '/v/data/deeper'],
    ['/database', '/database'],
    ['/other/data', '/other/data'],
    ['data', 'data'],
    ['--file=/data/x', '--file=/v/data/x'],
    ['file:/data/ready', 'file:/v/data/ready'],
    ['/data/a:/data/deep/b', '/v/data/a:/v/deep/b'],
    ['/data,/data', '/v/data,/v/data'],
    ['/a+b/c', '/v/plus/c'],
    ['/aab', '/aab'],
    ['http://host/data', 'http://host/data'],
    ['', ''],
  ];
  for (const [text, expected] of cases) assert.equal(rewritePaths(text, mounts), expected, text);
});

test('without mounts nothing changes', () => {
  assert.equal(rewritePaths('/data/x', []), '/data/x');
});

test('a directory that looks like a mount is not rewritten again', () => {
  const swapped = [
    { mountPath: '/a', directory: '/b' },
    { mountPath: '/b', directory: '/a' },
  ];
  assert.equal(rewritePaths('/a:/b', swapped), '/b:/a');
});
