import assert from 'node:assert/strict';
import { test } from 'node:test';
import { convertFleet } from '../../../fleet/agones/convert-fleet.ts';
import { readFleet } from '../../../fleet/cluster/fleet.ts';

/** As the reference of Agones writes a Fleet. */
const reference = {
  apiVersion: 'agones.dev/v1',
  kind: 'Fleet',
  metadata: { name: 'fleet-example' },
  spec: {
    replicas: 2,
    scheduling: 'Packed',
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '50%', maxUnavailable: 1 } },
    allocationOverflow: { labels: { mykey: 'myvalue', version: '' }, annotations: { otherkey: 'setthisvalue' } },
    priorities: [{ type: 'Counter', key: 'rooms', order: 'Descending' }],
    template: {
      metadata: { labels: { foo: 'bar' } },
      spec: {
        ports: [{ name: 'default', portPolicy: 'Dynamic', containerPort: 26_000 }],
        health: { initialDelaySeconds: 30, periodSeconds: 60 },
        sdkServer: { logLevel: 'Info', grpcPort: 9357, httpPort: 9358 },
        counters: { rooms: { count: 0, capacity: 10 } },
        lists: { players: { values: [], capacity: 5 } },
        template: {
          spec: { containers: [{ name: 'game', image: 'game:1', command: ['/game'], args: ['--port={default}'] }] },
        },
      },
    },
  },
};

interface Deployment {
  readonly metadata: { readonly annotations: Record<string, string> };
  readonly spec: {
    readonly replicas: number;
    readonly strategy: object;
    readonly template: {
      readonly metadata: { readonly labels: Record<string, string> };
      readonly spec: {
        readonly readinessGates: object[];
        readonly containers: readonly { readonly args: readonly string[] }[];
      };
    };
  };
}

test("the Fleet of Agones' reference becomes a Deployment that is a fleet", () => {
  const { deployment, remarks } = convertFleet(reference);
  const { metadata, spec } = deployment as Deployment;
  const made = { ...(deployment as object), metadata: { ...metadata, namespace: 'n', uid: 'u', resourceVersion: '1' } };
  const fleet = readFleet(made as Parameters<typeof readFleet>[0]);
  assert.deepEqual(fleet?.overflow, reference.spec.allocationOverflow);
  assert.equal(spec.replicas, 2);
  assert.deepEqual(spec.strategy, reference.spec.strategy);
  assert.equal(spec.template.metadata.labels['agones.dev/fleet'], 'fleet-example');
  assert.equal(spec.template.metadata.labels['foo'], 'bar');
  assert.deepEqual(spec.template.spec.readinessGates, [{ conditionType: 'spotable.dev/ready' }]);
  assert.deepEqual(spec.template.spec.containers[0]?.args, [
    '--port=default=udp',
    '--ready=sdk',
    '--sdk-health-period=60s',
    '--sdk-health-delay=30s',
    '--sdk-counter=rooms=0/10',
    '--sdk-list=players=5',
    '--',
    '/game',
    '--port={default}',
  ]);
  for (const left of [/replicas counts warm/, /sdkServer is left out/, /priorities is left out/, /must listen on/])
    assert.ok(
      remarks.some((remark) => left.test(remark)),
      String(left),
    );
});

test('a container without a command is said to need one', () => {
  const { spec } = reference;
  const template = {
    ...spec.template,
    spec: { ...spec.template.spec, template: { spec: { containers: [{ name: 'g' }] } } },
  };
  const { deployment, remarks } = convertFleet({ ...reference, spec: { ...spec, template } });
  assert.ok(remarks.some((remark) => /names no command/.test(remark)));
  assert.ok(JSON.stringify(deployment).includes('WRITE-THE-ENTRYPOINT'));
});

test('Recreate stays, and what is no Fleet is refused', () => {
  const recreate = { ...reference, spec: { ...reference.spec, strategy: { type: 'Recreate' } } };
  assert.deepEqual((convertFleet(recreate).deployment as Deployment).spec.strategy, { type: 'Recreate' });
  assert.throws(() => convertFleet({ kind: 'Deployment' }), /expected a Fleet/);
  assert.throws(() => convertFleet({ ...reference, metadata: {} }), /expected a name/);
});
