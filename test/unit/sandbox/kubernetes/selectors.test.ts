import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '../../../../sandbox/kubernetes/objects.ts';
import { Refusal } from '../../../../sandbox/kubernetes/status-errors.ts';
import {
  labelSelector,
  parseFieldSelector,
  parseLabelSelector,
} from '../../../../sandbox/kubernetes/storage/selectors.ts';

const labels = { app: 'game', tier: 'front' };

const labelCases: readonly (readonly [selector: string, fits: boolean])[] = [
  ['', true],
  ['app=game', true],
  ['app==game', true],
  ['app!=game', false],
  ['none!=x', true],
  ['app', true],
  ['none', false],
  ['!none', true],
  ['!app', false],
  ['app in (game,other)', true],
  ['app in (other)', false],
  ['app notin (other)', true],
  ['none notin (a)', true],
  ['app=game,tier=back', false],
  ['app in (a,game),tier', true],
];

const object = {
  kind: 'Pod',
  metadata: { name: 'gs-1', namespace: 'arena' },
  spec: { nodeName: 'n1' },
  status: { phase: 'Running' },
} as unknown as KubeObject;
const selectable = ['spec.nodeName', 'status.phase', 'spec.unschedulable'];

const fieldCases: readonly (readonly [selector: string, fits: boolean])[] = [
  ['', true],
  ['spec.nodeName=n1', true],
  ['spec.nodeName==n2', false],
  ['spec.nodeName=n1,status.phase!=Running', false],
  ['metadata.name=gs-1,metadata.namespace!=kube-system', true],
  ['spec.unschedulable=false', true],
  ['spec.unschedulable=true', false],
];

function refusal(code: number, message: string) {
  return (error: unknown): boolean =>
    error instanceof Refusal && error.status.code === code && error.status.message === message;
}

describe('A label selector', () => {
  for (const [selector, fits] of labelCases) {
    it(`"${selector}" ${fits ? 'finds' : 'passes over'} ${JSON.stringify(labels)}`, () => {
      assert.equal(parseLabelSelector(selector)(labels), fits);
    });
  }

  it('of an object joins labels and expressions', () => {
    const selects = labelSelector({
      matchLabels: { app: 'game' },
      matchExpressions: [{ key: 'tier', operator: 'In', values: ['front'] }],
    });
    assert.equal(selects(labels), true);
    assert.equal(selects({ app: 'game' }), false);
  });

  it('that does not parse is 400', () => {
    assert.throws(
      () => parseLabelSelector('app==='),
      refusal(400, "unable to parse requirement: found '=', expected: identifier"),
    );
  });
});

describe('A field selector', () => {
  for (const [selector, fits] of fieldCases) {
    it(`"${selector}" ${fits ? 'finds' : 'passes over'} the pod`, () => {
      assert.equal(parseFieldSelector(selector, selectable)(object), fits);
    });
  }

  it('on a field that cannot be selected is 400', () => {
    assert.throws(
      () => parseFieldSelector('spec.hostname=x', selectable),
      refusal(400, 'field label not supported: spec.hostname'),
    );
  });
});
