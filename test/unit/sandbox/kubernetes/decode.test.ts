import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decode } from '../../../../sandbox/kubernetes/schema/decode.ts';

const mistyped: readonly (readonly [model: string, json: Record<string, unknown>, complaint: string])[] = [
  [
    'V1ConfigMap',
    { data: { n: 3 } },
    'json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
  ],
  [
    'V1Node',
    { spec: { unschedulable: 'yes' } },
    'json: cannot unmarshal string into Go struct field NodeSpec.spec.unschedulable of type bool',
  ],
  [
    'V1Node',
    { metadata: { annotations: { a: 1 } } },
    'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.annotations of type string',
  ],
  [
    'V1Pod',
    { spec: { containers: [{ name: 1 }] } },
    'json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string',
  ],
  ['V1Pod', { spec: [] }, 'json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec'],
  [
    'V1Node',
    { spec: { taints: {} } },
    'json: cannot unmarshal object into Go struct field NodeSpec.spec.taints of type []v1.Taint',
  ],
];

describe('Typed decoding', () => {
  for (const [model, json, complaint] of mistyped) {
    it(`refuses ${JSON.stringify(json)}`, () => assert.deepEqual(decode(model, json), { kind: 'mistyped', complaint }));
  }

  it('drops unknown fields and names their paths', () => {
    const decoded = decode('V1Pod', { spec: { containers: [{ name: 'a', imagee: 'x' }], nodeNam: 'n' }, spce: {} });
    assert.deepEqual(decoded, {
      kind: 'decoded',
      value: { spec: { containers: [{ resources: {}, name: 'a' }] } },
      unknown: ['spec.containers[0].imagee', 'spec.nodeNam', 'spce'],
    });
  });

  it('leaves out what Go leaves out: null, empty lists and maps, and false where it means nothing', () => {
    const json = {
      metadata: { labels: {}, finalizers: [] },
      spec: { unschedulable: false, taints: [], podCIDR: null },
    };
    assert.deepEqual(decode('V1Node', json), { kind: 'decoded', value: { metadata: {}, spec: {} }, unknown: [] });
  });

  it('keeps a false that says something', () => {
    const decoded = decode('V1Pod', { spec: { automountServiceAccountToken: false } });
    assert.deepEqual(decoded.kind === 'decoded' && decoded.value, { spec: { automountServiceAccountToken: false } });
  });

  it('reads a quantity given as a number', () => {
    const decoded = decode('V1Container', { resources: { requests: { cpu: 1 } } });
    assert.deepEqual(decoded.kind === 'decoded' && decoded.value, { resources: { requests: { cpu: '1' } } });
  });
});
