import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withRehearsal } from '../../../agent/interruption/rehearsal.ts';
import type { Tracked } from '../../../agent/interruption/track-interruption.ts';
import { look, node, noon, planned, rebalance, rehearsal } from './agent-values.ts';

const quiet: Tracked = { state: 'quiet' };
const running: Tracked = { state: 'answered', interruption: planned(rehearsal), absences: 0 };
const asked = node({ rehearse: '90s' });

describe('a rehearsal', () => {
  test('is announced with the time that was asked for', () => {
    const { observation, refusal } = withRehearsal(look([]), asked, quiet, noon);
    assert.deepEqual(observation.notices, [rehearsal]);
    assert.equal(refusal, undefined);
  });

  test('keeps its deadline while it runs', () => {
    const { observation } = withRehearsal(
      look([]),
      node({ rehearse: '90s', resourceVersion: '99' }),
      running,
      noon + 60_000,
    );
    assert.deepEqual(observation.notices, [rehearsal]);
  });

  test('ends at its deadline', () => {
    const { observation } = withRehearsal(look([]), asked, running, noon + 90_000);
    assert.deepEqual(observation, look([]));
  });

  test('ends when the request is taken back', () => {
    const { observation } = withRehearsal(look([]), node(), running, noon + 1000);
    assert.deepEqual(observation, look([]));
  });

  test('is out of sight, not over, while the node cannot be seen', () => {
    const seen = new Set(['spot-termination'] as const);
    const { observation } = withRehearsal({ ...look([]), seen }, undefined, running, noon + 1000);
    assert.deepEqual(observation, { notices: [], seen, blindTo: new Set(['rehearsal']) });
  });

  test('is refused while something real is pending', () => {
    const tracked: Tracked = { state: 'answered', interruption: planned(rebalance), absences: 0 };
    const { observation, refusal } = withRehearsal(look([rebalance]), asked, tracked, noon);
    assert.deepEqual(observation, look([rebalance]));
    assert.equal(refusal, 'i-1/rebalance is pending');
  });

  for (const rehearse of ['9s', '2h', 'soon', '', '90', '-5s'])
    test(`of ${JSON.stringify(rehearse)} is refused`, () => {
      const { observation, refusal } = withRehearsal(look([]), node({ rehearse }), quiet, noon);
      assert.deepEqual(observation, look([]));
      assert.match(refusal ?? '', /^expected a duration/);
    });
});
