import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import packageFile from '../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const decisions = readdirSync(join(root, 'docs/decisions')).filter((file) => /^\d{4}-/.test(file));
const pages = [
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'docs/glossary.md',
  'docs/fanout.md',
  'docs/decisions/README.md',
];

test('the index of decisions has a row for each, with its title, a status and a date', () => {
  const rows = read('docs/decisions/README.md').split('\n');
  for (const file of decisions) {
    const [, title = ''] = /^# \d{4}: (.+)$/.exec(read(`docs/decisions/${file}`).split('\n')[0] ?? '') ?? [];
    assert.notEqual(title, '', `${file} begins with "# NNNN: TITLE"`);
    const row = rows.find((line) => line.includes(`](${file})`)) ?? '';
    const cells = row.split('|').map((cell) => cell.trim());
    assert.equal(
      cells[2],
      title,
      `docs/decisions/README.md needs the row | [${file.slice(0, 4)}](${file}) | ${title} | accepted | YYYY-MM-DD |`,
    );
    assert.match(cells[3] ?? '', /^(proposed|accepted|superseded by \[\d{4}\]\(.+\))$/, file);
    assert.match(cells[4] ?? '', /^\d{4}-\d\d-\d\d$/, file);
  }
});

test('no two decisions have the same number', () => {
  const numbers = decisions.map((file) => file.slice(0, 4));
  assert.deepEqual(numbers, [...new Set(numbers)]);
});

for (const page of pages)
  test(`${page} points only to files and commands that exist`, () => {
    const text = read(page);
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, link = '']) => join(dirname(page), link));
    const folders = 'agent|wrapper|fanout|inventory|fleet|shared|sandbox|test|bench|build|manifests|docs';
    const named = [...text.matchAll(new RegExp(`\`((?:${folders})/[\\w./-]*)\``, 'g'))].map(([, path = '']) => path);
    assert.deepEqual(
      [...links, ...named].filter((path) => !existsSync(join(root, path))),
      [],
    );
    const scripts = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name);
    assert.deepEqual(
      scripts.filter((name) => !Object.hasOwn(packageFile.scripts, name)),
      [],
    );
  });

test('functions that the map of CONTRIBUTING.md names are where it says', () => {
  const named = [...read('CONTRIBUTING.md').matchAll(/`(\w+)` in `(\w+\/[\w./-]+\.ts)`/g)];
  assert.ok(named.length >= 3);
  for (const [, name, file = ''] of named) assert.match(read(file), new RegExp(`\\b${name}\\(`), `${name} in ${file}`);
});
