import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import packageFile from '../../package.json' with { type: 'json' };
import { demoSettings } from '../../sandbox/demo/demo-settings.ts';

const root = join(import.meta.dirname, '..', '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

test('every npm script that the README names exists', () => {
  const named = [
    ...readme.matchAll(/npm (?:run )?(start|test(?::\w+)?|check|build|bench|drill|layers|control-plane)\b/g),
  ].map(([, name]) => name);
  assert.notEqual(named.length, 0);
  assert.deepEqual(
    named.filter((name) => !Object.hasOwn(packageFile.scripts, name ?? '')),
    [],
  );
});

test('every flag of the demo that the README names exists', () => {
  const known = Object.values(demoSettings).map(({ flag }) => `--${flag}`);
  const [, sentence = ''] = /lists more: ([\s\S]*?)With a real game server/.exec(readme) ?? [];
  const named = [...sentence.matchAll(/`(--[a-z-]+)/g)].map(([, flag]) => flag);
  assert.ok(named.length >= 5);
  assert.deepEqual(
    named.filter((flag) => !known.includes(flag ?? '')),
    [],
  );
});

test('every file that the README links to exists', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, link]) => link ?? '');
  assert.deepEqual(
    links.filter((link) => !existsSync(join(root, link))),
    [],
  );
});
