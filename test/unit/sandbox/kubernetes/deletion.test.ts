import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DeleteOptions, decideDeletion } from '../../../../sandbox/kubernetes/registry/deletion.ts';
import { pods } from '../../../../sandbox/kubernetes/registry/table.ts';
import { Refusal } from '../../../../sandbox/kubernetes/status-errors.ts';
import { aPendingPod, aPod, type PodFacts, startMs } from './cluster-objects.ts';

const at = (seconds: number): string => new Date(startMs + seconds * 1000).toISOString().replace('.000Z', 'Z');
/** Told to go at the start, with 30 s. */
const going: PodFacts = { meta: { generation: 2, deletionTimestamp: at(30), deletionGracePeriodSeconds: 30 } };

interface Case {
  readonly title: string;
  readonly pod?: PodFacts;
  readonly options?: DeleteOptions;
  readonly afterSeconds?: number;
  readonly kind: string;
  readonly until?: string;
  readonly graceSeconds?: number;
}

const cases: readonly Case[] = [
  { title: 'takes the grace of the pod', kind: 'mark', until: at(30), graceSeconds: 30 },
  { title: 'takes a shorter grace', options: { gracePeriodSeconds: 5 }, kind: 'mark', until: at(5), graceSeconds: 5 },
  {
    title: 'takes a longer grace the first time',
    options: { gracePeriodSeconds: 60 },
    kind: 'mark',
    until: at(60),
    graceSeconds: 60,
  },
  {
    title: 'counts a negative grace as 1',
    options: { gracePeriodSeconds: -1 },
    kind: 'mark',
    until: at(1),
    graceSeconds: 1,
  },
  {
    title: 'removes at once with grace 0',
    options: { gracePeriodSeconds: 0 },
    kind: 'mark-and-remove',
    until: at(0),
    graceSeconds: 0,
  },
  {
    title: 'removes a finished pod at once',
    pod: { phase: 'Succeeded' },
    kind: 'mark-and-remove',
    until: at(0),
    graceSeconds: 0,
  },
  {
    title: 'keeps a pod with a finalizer, also with grace 0',
    pod: { meta: { finalizers: ['example.com/hold'] } },
    options: { gracePeriodSeconds: 0 },
    kind: 'mark',
    until: at(0),
    graceSeconds: 0,
  },
  {
    title: 'shortens, counted from the first request',
    pod: going,
    options: { gracePeriodSeconds: 5 },
    afterSeconds: 2,
    kind: 'mark',
    until: at(5),
    graceSeconds: 5,
  },
  { title: 'never lengthens', pod: going, options: { gracePeriodSeconds: 50 }, afterSeconds: 2, kind: 'unchanged' },
  { title: 'changes nothing with the same grace', pod: going, options: { gracePeriodSeconds: 30 }, kind: 'unchanged' },
  { title: 'changes nothing when it says no grace again', pod: going, afterSeconds: 2, kind: 'unchanged' },
  {
    title: 'removes a terminating pod with grace 0',
    pod: going,
    options: { gracePeriodSeconds: 0 },
    kind: 'mark-and-remove',
    until: at(0),
    graceSeconds: 0,
  },
];

describe('A deletion of a pod', () => {
  for (const { title, pod, options = {}, afterSeconds = 0, kind, until, graceSeconds } of cases) {
    it(title, () => {
      const decision = decideDeletion(pods, aPod('gs-1', pod), options, startMs + afterSeconds * 1000);
      assert.equal(decision.kind, kind);
      if (decision.kind === 'unchanged') return;
      const { metadata } = decision.object;
      assert.equal(metadata.deletionTimestamp, until);
      assert.equal(metadata.deletionGracePeriodSeconds, graceSeconds);
      assert.equal(metadata.generation, 2);
    });
  }

  it('removes a pod without a node at once', () => {
    assert.equal(decideDeletion(pods, aPendingPod('gs-1'), {}, startMs).kind, 'mark-and-remove');
  });

  for (const preconditions of [{ uid: 'another' }, { resourceVersion: '7' }]) {
    it(`is refused with 409 when ${Object.keys(preconditions)} is another`, () => {
      assert.throws(
        () => decideDeletion(pods, aPod('gs-1'), { preconditions }, startMs),
        (error) => error instanceof Refusal && error.status.code === 409,
      );
    });
  }
});
