import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1Pod } from '@kubernetes/client-node';
import { parseProbe } from '../../../fanout/sources/health-probe.ts';
import { gameServerUpstreams } from '../../../fanout/sources/inventory-upstreams.ts';
import { podUpstream } from '../../../fanout/sources/pod-upstreams.ts';
import type { GameServerData } from '../../../shared/events/event.ts';

const row: Partial<GameServerData> = {
  game_server_id: 'gs-1',
  status: 'ready',
  public_ip: '192.0.2.1',
  public_hostname: 'host.example',
  public_port: 20_000,
  ports: { SERVER_PORT: { port: 20_001, protocol: 'udp' } },
  labels: {},
  deadline: null,
};
const wanted = {
  id: 'gs-1',
  address: '192.0.2.1',
  port: 20_001,
  readiness: 'ready',
  isInSync: undefined,
  deadlineMs: undefined,
};

const rows: readonly [string, Partial<GameServerData>, object | undefined][] = [
  ['a ready game server is a replica at its named port', {}, {}],
  ['without the named port the public one is taken', { ports: {} }, { port: 20_000 }],
  [
    'an address in the hostname does as well',
    { public_ip: null, public_hostname: '2001:db8::1' },
    { address: '2001:db8::1' },
  ],
  ['an allocated one is ready', { status: 'allocated' }, {}],
  ['a starting one is known but not ready', { status: 'starting' }, { readiness: 'starting' }],
  [
    'a terminating one brings its deadline',
    { status: 'terminating', deadline: '1970-01-01T00:01:00.000Z' },
    { readiness: 'terminating', deadlineMs: 60_000 },
  ],
  ['a label says that it is in sync', { labels: { 'in-sync': 'true' } }, { isInSync: true }],
  ['a label says that it is not', { labels: { 'in-sync': 'no' } }, { isInSync: false }],
  ['an ended one is none', { status: 'terminated' }, undefined],
  ['a lost one is none', { status: 'lost' }, undefined],
  ['one without an address is none', { public_ip: null }, undefined],
  ['one without a port is none', { ports: {}, public_port: null }, undefined],
];
for (const [name, change, expected] of rows)
  test(name, () => {
    const upstreams = gameServerUpstreams([{ ...row, ...change }], 'SERVER_PORT');
    assert.deepEqual(upstreams, expected === undefined ? [] : [{ ...wanted, ...expected }]);
  });

const pod = {
  metadata: { uid: 'u-1', name: 'gs-0', namespace: 'arena', annotations: { 'spotable.dev/port.SERVER_PORT': '20001' } },
  status: { podIP: '10.0.0.1', phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
};
const wantedPod = { ...wanted, id: 'u-1', address: '10.0.0.1' };

const pods: readonly [string, object, object, object | undefined][] = [
  ['a ready pod is a replica at its annotated port', {}, {}, {}],
  [
    'a pod that is not ready gets traffic only',
    {},
    { conditions: [{ type: 'Ready', status: 'False' }] },
    { readiness: 'starting' },
  ],
  [
    'a deleted pod is going until its grace is over',
    { deletionTimestamp: new Date(60_000) },
    {},
    { readiness: 'terminating', deadlineMs: 60_000 },
  ],
  [
    'an interrupted pod is going until the deadline',
    {
      annotations: {
        ...pod.metadata.annotations,
        'spotable.dev/interruption-kind': 'spot-termination',
        'spotable.dev/deadline': '1970-01-01T00:02:00Z',
      },
    },
    {},
    { readiness: 'terminating', deadlineMs: 120_000 },
  ],
  [
    'an annotation says that it is in sync',
    { annotations: { ...pod.metadata.annotations, 'spotable.dev/in-sync': 'true' } },
    {},
    { isInSync: true },
  ],
  ['a pod without an address is none', {}, { podIP: undefined }, undefined],
  ['a pod without a port is none', { annotations: {} }, {}, undefined],
  ['a pod with a port that is none is none', { annotations: { 'spotable.dev/port.SERVER_PORT': 'x' } }, {}, undefined],
  ['an ended pod is none', {}, { phase: 'Succeeded' }, undefined],
];
for (const [name, metadata, status, expected] of pods)
  test(name, () => {
    const changed = { metadata: { ...pod.metadata, ...metadata }, status: { ...pod.status, ...status } };
    const upstreams = podUpstream(changed, 'SERVER_PORT');
    assert.deepEqual(upstreams, expected === undefined ? [] : [{ ...wantedPod, ...expected }]);
  });

const udp = (name: string | undefined, containerPort: number) => ({ name, containerPort, protocol: 'UDP' });
for (const [name, ports, port] of [
  ['a container port of the name is taken, as Kubernetes writes it', [udp('server-port', 7777), udp('query', 7)], 7777],
  ['the only UDP port is taken', [udp('game', 7777), { name: 'metrics', containerPort: 9090, protocol: 'TCP' }], 7777],
  ['of several ports without the name none is', [udp('game', 7777), udp('query', 7778)], undefined],
] as const)
  test(name, () => {
    const spec = { containers: [{ name: 'game', ports: [...ports] }] } as unknown as NonNullable<V1Pod['spec']>;
    const upstreams = podUpstream({ ...pod, spec, metadata: { ...pod.metadata, annotations: {} } }, 'SERVER_PORT');
    assert.deepEqual(
      upstreams.map((upstream) => upstream.port),
      port === undefined ? [] : [port],
    );
  });

for (const [text, probe] of [
  ['tcp', { kind: 'tcp', port: undefined }],
  ['tcp:80', { kind: 'tcp', port: 80 }],
  ['http:8080', { kind: 'http', port: 8080, path: '/' }],
  ['http:8080/healthz?full', { kind: 'http', port: 8080, path: '/healthz?full' }],
  ['udp:ffFF00', { kind: 'udp', query: Buffer.from([255, 255, 0]) }],
] as const)
  test(`${text} is a probe`, () => assert.deepEqual(parseProbe(text), { value: probe }));

for (const text of ['', 'tcp:', 'tcp:0', 'tcp:65536', 'http', 'http:/x', 'udp:', 'udp:f', 'udp:zz', 'icmp'])
  test(`${JSON.stringify(text)} is no probe`, () => assert.ok('expected' in parseProbe(text)));
