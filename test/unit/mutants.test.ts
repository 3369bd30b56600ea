import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { mutate, namePattern } from '../mutants/mutant.ts';
import { mutants } from '../mutants/mutants.ts';
import { verdictFrom } from '../mutants/scratch-copy.ts';

const root = join(import.meta.dirname, '../..');

test('every mutant still fits its file, and its test exists', async () => {
  const problems: string[] = [];
  for (const mutant of mutants) {
    const source = await readFile(join(root, mutant.file), 'utf8').catch(() => '');
    const tests = await readFile(join(root, mutant.test.file), 'utf8').catch(() => '');
    try {
      mutate(source, mutant);
    } catch (error) {
      problems.push((error as Error).message);
    }
    if (!new RegExp(`['"\`]${namePattern(mutant.test.name, '\\$\\{.*\\}')}['"\`]`).test(tests))
      problems.push(`${mutant.test.file}: no test named ${mutant.test.name}`);
  }
  assert.deepEqual(problems, []);
});

test('a mutant is killed only by the failure of its own test', () => {
  const tap = ['    ok 1 - other', '    not ok 2 - it holds', 'not ok 1 - suite'].join('\n');
  assert.equal(verdictFrom(tap, 'it holds'), 'failed');
  assert.equal(verdictFrom(tap, 'other'), 'passed');
  assert.equal(verdictFrom(tap, 'absent'), 'missing');
  assert.equal(verdictFrom('ok 1 - it holds # SKIP', 'it holds'), 'missing');
});

test('a mutant whose line has changed is refused', () => {
  assert.throws(() => mutate('a; a;', { file: 'x.ts', from: 'a;', to: 'b;' }), /found 2 times, expected once/);
  assert.throws(() => mutate('a;', { file: 'x.ts', from: 'c;', to: 'b;' }), /found 0 times/);
});
