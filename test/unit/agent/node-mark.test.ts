import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { V1Node, V1Taint } from '@kubernetes/client-node';
import fc from 'fast-check';
import {
  dropRequestPatch,
  hasUnreadableMark,
  interruptionAnnotation,
  interruptionTaint,
  loadBalancerLabel,
  markFor,
  markPatch,
  type NodeView,
  outOfServiceTaint,
  readMark,
  readNode,
  rehearseAnnotation,
  unmarkPatch,
  withoutAnnotation,
} from '../../../agent/node-state/node-mark.ts';
import { node, noon, planned, rebalance, rehearsal, spot } from './agent-values.ts';

interface NodePatch {
  readonly metadata: {
    readonly annotations: Record<string, string | null>;
    readonly labels?: Record<string, string | null>;
  };
  readonly spec?: { readonly unschedulable?: boolean | null; readonly taints?: readonly V1Taint[] };
}

const plain = { excludeFromLoadBalancers: false, isOutOfService: false };

/** What the API server makes of a strategic merge patch of these fields. */
function applied(before: NodeView, patch: object | undefined): NodeView {
  if (patch === undefined) return before;
  const { metadata, spec = {} } = patch as NodePatch;
  const { [interruptionAnnotation]: annotation, [rehearseAnnotation]: rehearse } = metadata.annotations;
  const label = metadata.labels?.[loadBalancerLabel];
  return {
    ...before,
    ...(annotation !== undefined && { annotation: annotation ?? undefined }),
    ...(rehearse !== undefined && { rehearse: rehearse ?? undefined }),
    ...(label !== undefined && { hasLoadBalancerLabel: label !== null }),
    ...(spec.taints !== undefined && { taints: spec.taints }),
    ...(spec.unschedulable !== undefined && { isCordoned: spec.unschedulable === true }),
  };
}

describe('marking a node', () => {
  test('cordons, taints and annotates it in one patch', () => {
    const marked = applied(node(), markPatch(node(), planned(spot), plain));
    assert.equal(marked.isCordoned, true);
    assert.deepEqual(marked.taints, [{ key: interruptionTaint, value: 'spot-termination', effect: 'NoSchedule' }]);
    assert.deepEqual(readMark(marked), {
      interruption: planned(spot),
      isCordonOurs: true,
      isLoadBalancerLabelOurs: false,
      isOutOfServiceOurs: false,
    });
  });

  test('that is marked so already costs no call', () => {
    const marked = applied(node(), markPatch(node(), planned(spot), plain));
    assert.equal(markPatch(marked, planned(spot), plain), undefined);
  });

  test('keeps the taints of others', () => {
    const foreign = { key: 'dedicated', value: 'games', effect: 'NoExecute' };
    const marked = applied(node(), markPatch(node({ taints: [foreign] }), planned(spot), plain));
    assert.deepEqual(marked.taints[0], foreign);
    assert.equal(marked.taints.length, 2);
  });

  test('remembers who cordoned it through every later change', () => {
    const held = applied(node(), markPatch(node(), planned(rebalance), plain));
    const drained = applied(held, markPatch(held, planned(spot), plain));
    assert.equal(readMark(drained)?.isCordonOurs, true);
    assert.deepEqual(drained.taints, [{ key: interruptionTaint, value: 'spot-termination', effect: 'NoSchedule' }]);
  });

  test('adds label and out-of-service taint where it is asked to, and both go with the mark', () => {
    const options = { excludeFromLoadBalancers: true, isOutOfService: true };
    const marked = applied(node(), markPatch(node(), planned(spot), options));
    assert.equal(marked.hasLoadBalancerLabel, true);
    assert.ok(marked.taints.some(({ key }) => key === outOfServiceTaint));
    assert.deepEqual(applied(marked, unmarkPatch(marked)), node());
  });

  test('leaves alone label and out-of-service taint that somebody else set', () => {
    const foreign = node({
      hasLoadBalancerLabel: true,
      taints: [{ key: outOfServiceTaint, value: 'nodeshutdown', effect: 'NoExecute' }],
    });
    const marked = applied(
      foreign,
      markPatch(foreign, planned(spot), { excludeFromLoadBalancers: true, isOutOfService: true }),
    );
    assert.deepEqual(applied(marked, unmarkPatch(marked)), foreign);
  });
});

describe('unmarking a node', () => {
  test('lifts no cordon of somebody else', () => {
    const cordoned = node({ isCordoned: true });
    const marked = applied(cordoned, markPatch(cordoned, planned(spot), plain));
    assert.equal(applied(marked, unmarkPatch(marked)).isCordoned, true);
  });

  test('that bears no mark costs no call', () => {
    assert.equal(unmarkPatch(node({ isCordoned: true })), undefined);
  });

  test('takes the request for the rehearsal with it, but not another interruption', () => {
    const asked = node({ rehearse: '90s' });
    const rehearsed = applied(asked, markPatch(asked, planned(rehearsal), plain));
    assert.equal(applied(rehearsed, unmarkPatch(rehearsed)).rehearse, undefined);
    const real = applied(asked, markPatch(asked, planned(spot), plain));
    assert.equal(applied(real, unmarkPatch(real)).rehearse, '90s');
  });

  test('removes a taint and an annotation that no longer make sense, and trusts neither about the cordon', () => {
    const broken = node({
      isCordoned: true,
      annotation: 'garbage',
      taints: [{ key: interruptionTaint, value: 'x', effect: 'NoSchedule' }],
    });
    assert.deepEqual(applied(broken, unmarkPatch(broken)), node({ isCordoned: true }));
  });

  test('that an agent of another version marked is given back, though its kind is not known', () => {
    const marked = applied(node(), markPatch(node(), planned(spot), plain));
    const annotation = marked.annotation?.replaceAll('spot-termination', 'capacity-block');
    const newer = { ...marked, annotation };
    assert.equal(readMark(newer), undefined);
    assert.equal(hasUnreadableMark(newer), true);
    assert.equal(applied(newer, unmarkPatch(newer)).isCordoned, false);
    assert.equal(hasUnreadableMark(node()), false);
  });

  test('whose mark could not be written down takes back what its agent remembers', () => {
    const known = markFor(node(), planned(spot), plain);
    const patch = markPatch(node(), planned(spot), plain);
    assert.ok(patch !== undefined);
    const bare = { ...withoutAnnotation(patch), metadata: { annotations: {} } };
    const marked = applied(node(), bare);
    assert.deepEqual([marked.annotation, marked.isCordoned, marked.taints.length], [undefined, true, 1]);
    assert.deepEqual(applied(marked, unmarkPatch(marked, known)), node());
    assert.equal(applied(marked, unmarkPatch(marked)).isCordoned, true);
  });

  test('gives back exactly the node that was there before, whatever it looked like', () => {
    const taint = fc.record({
      key: fc.constantFrom('dedicated', 'gpu', outOfServiceTaint),
      value: fc.string({ maxLength: 3 }),
      effect: fc.constantFrom('NoSchedule', 'NoExecute'),
    });
    const anyNode = fc.record({
      isCordoned: fc.boolean(),
      hasLoadBalancerLabel: fc.boolean(),
      taints: fc.uniqueArray(taint, { selector: ({ key }) => key }),
    });
    const steps = fc.array(
      fc.record({
        interruption: fc.constantFrom(planned(spot), planned(rebalance)),
        excludeFromLoadBalancers: fc.boolean(),
        isOutOfService: fc.boolean(),
      }),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(anyNode, steps, (fields, marks) => {
        const before = node(fields);
        let marked = before;
        for (const { interruption, ...options } of marks)
          marked = applied(marked, markPatch(marked, interruption, options));
        assert.deepEqual(applied(marked, unmarkPatch(marked)), before);
      }),
    );
  });
});

test('a request for a rehearsal is dropped alone', () => {
  assert.deepEqual(applied(node({ rehearse: '1s' }), dropRequestPatch(node({ rehearse: '1s' }))), node());
  assert.equal(dropRequestPatch(node()), undefined);
});

describe('reading a node', () => {
  test('takes the fields that matter from what the API server sends', () => {
    const object = {
      metadata: {
        name: 'n-1',
        uid: 'u',
        resourceVersion: '5',
        annotations: { [rehearseAnnotation]: '90s' },
        labels: { [loadBalancerLabel]: '' },
      },
      spec: { unschedulable: true, providerID: 'aws:///eu-west-1a/i-1' },
    } as V1Node;
    assert.deepEqual(readNode(object), {
      ...node({ uid: 'u', resourceVersion: '5', isCordoned: true, rehearse: '90s' }),
      hasLoadBalancerLabel: true,
      labels: { [loadBalancerLabel]: '' },
      providerId: 'aws:///eu-west-1a/i-1',
    });
  });

  test('is undefined where there is nothing that could be patched', () => {
    assert.equal(readNode({ metadata: { name: 'n-1' } }), undefined);
    assert.equal(readNode({}), undefined);
  });

  test('never throws on an annotation that somebody else wrote', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (annotation) => {
        readMark(node({ annotation }));
      }),
    );
    assert.equal(readMark(node({ annotation: 'null' })), undefined);
    assert.equal(readMark(node({ annotation: '{"id":"x","kind":"party"}' })), undefined);
  });

  test('brings back a mark as it was written', () => {
    const interruption = planned(spot, { deadlineMs: noon + 1234, firstSeenMs: noon - 5678 });
    assert.deepEqual(readMark(applied(node(), markPatch(node(), interruption, plain)))?.interruption, interruption);
  });
});
