import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { wideCommentLines } from '../../../build/check-comments.ts';
import { wrapComments } from '../../../build/wrap-comments.ts';
import packageFile from '../../../package.json' with { type: 'json' };

const words = (columns: number) => 'word '.repeat(30).slice(0, columns);
const script = join(import.meta.dirname, '../../../build/check-comments.ts');

const wide: readonly (readonly [string, string, string])[] = [
  ['a line comment', 'a.ts', `// ${words(118)}`],
  ['a line of a block comment', 'a.ts', ` * ${words(118)}`],
  ['a one-line block comment', 'a.c', `/* ${words(116)} */`],
  ['a comment behind code', 'a.ts', `const a = 1; // ${words(110)}`],
  ['a comment behind a string with a marker', 'a.ts', `const a = 'http://a'; // ${words(110)}`],
  ['a comment in YAML', 'a.yaml', `# ${words(119)}`],
  ['a comment in a Dockerfile', 'Dockerfile.agent', `RUN true # ${words(112)}`],
];
const fine: readonly (readonly [string, string, string])[] = [
  ['a comment of 120 columns', 'a.ts', `// ${words(117).trimEnd().padEnd(117, 'x')}`],
  ['a comment of 120 characters that are wider in UTF-16', 'a.ts', `// ${'😀 '.repeat(58)}x`],
  ['a URL that cannot be wrapped', 'a.ts', `// https://example.com/${'x'.repeat(120)}`],
  ['a long string with a marker', 'a.ts', `const a = 'http://a ${words(120)}';`],
  ['a long string in YAML', 'a.yaml', `text: "# ${words(120)}"`],
];

for (const [name, file, line] of wide)
  test(`${name} past column 120 is reported`, () => {
    assert.ok([...line].length > 120);
    assert.deepEqual(wideCommentLines(file, `first\n${line}\n`), [2]);
  });

for (const [name, file, line] of fine)
  test(`${name} is not reported`, () => assert.deepEqual(wideCommentLines(file, `first\n${line}\n`), []));

test('npm run check ends with an error for a comment that is too wide, in any folder', () => {
  assert.match(packageFile.scripts.check, /&& node build\/check-comments\.ts/);
  const root = mkdtempSync(join(tmpdir(), 'check-comments-'));
  after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'a/node_modules'), { recursive: true });
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(join(root, 'node_modules/not-ours.ts'), `// ${words(130)}`);
  const run = () => spawnSync(process.execPath, [script, root], { encoding: 'utf8' });
  assert.equal(run().status, 0);
  writeFileSync(join(root, 'a/b.ts'), `export const b = 1;\n// ${words(130)}\n`);
  const { status, stderr } = run();
  assert.equal(status, 1);
  assert.equal(stderr, 'a/b.ts:2: Comment is wider than 120 columns\n');
});

test('npm run fix wraps a block comment, and leaves lists and code alone', () => {
  const long = words(130).trim();
  const source = `  /**\n   * ${long}\n   *\n   *   a list that stays\n   */\n  const a = 1;\n  // ${long}\n`;
  const wrapped = wrapComments(source, '//');
  assert.deepEqual(wideCommentLines('a.ts', wrapped), []);
  assert.equal(wrapped.replace(/[\s*/]+/g, ' '), source.replace(/[\s*/]+/g, ' '));
  assert.match(wrapped, /\n {3}\*\n {3}\* {3}a list that stays\n {3}\*\/\n {2}const a = 1;\n {2}\/\/ word/);
  assert.equal(wrapComments(wrapped, '//'), wrapped);
});

test('a comment that just does not fit one line becomes a block, a short one stays', () => {
  const text = words(115).trim();
  assert.equal(wrapComments(`/** ${text} */`, '//'), `/**\n * ${text}\n */`);
  assert.equal(wrapComments('/** short */', '//'), '/** short */');
  assert.equal(wrapComments(`# ${words(130).trim()}`, '#').split('\n').length, 2);
});
