import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEndpoint, parseEndpoint, sourceNetwork } from '../../../fanout/endpoint.ts';

for (const [text, host, port] of [
  ['10.0.0.1:7777', '10.0.0.1', 7777],
  ['[2001:db8::1]:1', '2001:db8::1', 1],
  ['[::]:65535', '::', 65_535],
  ['game-0.arena.svc.cluster.local:7777', 'game-0.arena.svc.cluster.local', 7777],
] as const)
  test(`${text} is an endpoint and is written back the same`, () => {
    assert.deepEqual(parseEndpoint(text), { value: { host, port } });
    assert.equal(formatEndpoint({ host, port }), text);
  });

for (const text of [
  '',
  '7777',
  'host:',
  ':7777',
  'host:0',
  'host:65536',
  '::1:7777',
  '[host]:1',
  '10.0.0:1',
  'a b:1',
  '-x:1',
  '1.2.3.4.5:1',
])
  test(`${JSON.stringify(text)} is no endpoint`, () => {
    assert.ok('expected' in parseEndpoint(text));
  });

test('port 0 is an endpoint only where the system may choose', () => {
  assert.ok('expected' in parseEndpoint('127.0.0.1:0'));
  assert.deepEqual(parseEndpoint('127.0.0.1:0', 0), { value: { host: '127.0.0.1', port: 0 } });
});

for (const [address, source] of [
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::9', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
] as const)
  test(`${address} counts as ${source}`, () => assert.equal(sourceNetwork(address), source));
