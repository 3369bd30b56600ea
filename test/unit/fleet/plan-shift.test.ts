import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planShift, shiftGoal } from '../../../fleet/cli/plan-shift.ts';
import { fleet } from './state.ts';

/** Leads a shift to its end: what was raised is ready at once. Gives the warm counts after each step. */
function walk(fromWarm: number, toWarm: number, step: number, until = 1): string[] {
  const goal = shiftGoal(fromWarm + toWarm, step, until);
  let [from, to] = [fromWarm, toWarm];
  const seen: string[] = [];
  for (let steps = 0; steps < 100; steps++) {
    const warm = (name: string, count: number) => fleet(name, { replicas: count, readyReplicas: count });
    const next = planShift(warm('a', from), warm('b', to), goal);
    if (next.kind === 'done') return seen;
    if (next.kind === 'raise') to = next.replicas;
    if (next.kind === 'lower') from = next.replicas;
    seen.push(`${from}+${to}`);
  }
  throw new Error(`No end: ${seen}`);
}

describe('a shift', () => {
  test('raises before it lowers, and keeps the sum', () => {
    assert.deepEqual(walk(4, 0, 0.25), ['4+1', '3+1', '3+2', '2+2', '2+3', '1+3', '1+4', '0+4']);
  });
  test('moves at least one at a time', () => assert.deepEqual(walk(2, 0, 0.01), ['2+1', '1+1', '1+2', '0+2']));
  test('stops where it shall', () => assert.deepEqual(walk(4, 0, 0.25, 0.5), ['4+1', '3+1', '3+2', '2+2']));
  test('takes back what was shifted', () => assert.deepEqual(walk(2, 2, 0.5), ['2+4', '0+4']));
  test('of nothing is done', () => assert.deepEqual(walk(0, 0, 0.25), []));
  test('waits for a fleet that is not ready, and takes nothing from the other one', () => {
    const goal = shiftGoal(4, 0.25, 1);
    const from = fleet('a', { replicas: 4 });
    assert.deepEqual(planShift(from, fleet('b', { replicas: 1, readyReplicas: 0 }), goal), {
      kind: 'wait',
      ready: 0,
      replicas: 1,
    });
    assert.equal(planShift(from, fleet('b', { replicas: 1, readyReplicas: 1, isObserved: false }), goal).kind, 'wait');
  });
});
