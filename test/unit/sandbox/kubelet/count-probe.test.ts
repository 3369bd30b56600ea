import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countProbe, unprobed } from '../../../../sandbox/kubelet/pod/count-probe.ts';

/** `+` a success, `-` a failure; the answer is the readiness after each. */
function run(answers: string, probe: Parameters<typeof countProbe>[2]): string {
  let count = unprobed;
  return [...answers]
    .map((answer) => {
      count = countProbe(count, answer === '+', probe);
      return count.ready ? 'R' : '.';
    })
    .join('');
}

test('a container is ready after enough successes in a row and unready after enough failures in a row', () => {
  const cases: [string, Parameters<typeof countProbe>[2], string][] = [
    ['+', {}, 'R'],
    ['-+', {}, '.R'],
    ['+--+', {}, 'RRRR'],
    ['+---', {}, 'RRR.'],
    ['+---+', {}, 'RRR.R'],
    ['+--+--', {}, 'RRRRRR'],
    ['++-++', { successThreshold: 2, failureThreshold: 1 }, '.R..R'],
    ['+-+-', { successThreshold: 2 }, '....'],
  ];
  for (const [answers, probe, expected] of cases) assert.equal(run(answers, probe), expected, answers);
});
