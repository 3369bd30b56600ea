import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeLease, describeNode } from '../../../../sandbox/kubelet/api/describe-node.ts';

const now = Date.parse('2026-11-22T11:14:19.123Z');
const facts = {
  name: 'n1',
  address: '127.0.0.1',
  labels: { zone: 'a', 'kubernetes.io/arch': 'arm64' },
  cpus: 4,
  memoryBytes: 24_683_672 * 1024,
  maxPods: 110,
  architecture: 'amd64',
};

test('a node says that it is ready, what it holds and where it is', () => {
  const { metadata, status } = describeNode(facts, now);
  assert.deepEqual(status?.['capacity'], { cpu: '4', memory: '24683672Ki', pods: '110' });
  assert.deepEqual(status?.['addresses'], [
    { type: 'InternalIP', address: '127.0.0.1' },
    { type: 'Hostname', address: 'n1' },
  ]);
  const conditions = status?.['conditions'] as { type: string; status: string; lastHeartbeatTime: string }[];
  assert.deepEqual(
    conditions.map(({ type, status: value }) => `${type}=${value}`),
    ['MemoryPressure=False', 'DiskPressure=False', 'PIDPressure=False', 'Ready=True'],
  );
  assert.equal(conditions[0]?.lastHeartbeatTime, '2026-11-22T11:14:19Z');
  assert.equal(metadata.labels?.['kubernetes.io/hostname'], 'n1');
  assert.deepEqual([metadata.labels?.['zone'], metadata.labels?.['kubernetes.io/arch']], ['a', 'arm64']);
});

test('a lease is renewed at a time with six digits, as the API server takes no other', () => {
  assert.equal(describeLease('n1', now).spec['renewTime'], '2026-11-22T11:14:19.123000Z');
});
