import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { agentSettings } from '../../../agent/config.ts';
import { projectRoot, readProjectFile } from './manifest-files.ts';

const environmentNames = new Set(Object.values(agentSettings).map(({ env }) => env));
const guides = [
  'docs/deploy.md',
  'docs/operate.md',
  'docs/fleets.md',
  'docs/migrate-from-nth.md',
  'docs/examples/layered-game/README.md',
];

test('the guide from NTH names only settings that the agent has', () => {
  const rows = [...readProjectFile('docs/migrate-from-nth.md').matchAll(/^\| (?:`--|none).*$/gm)].map(
    ([row]) => row.split('|')[2] ?? '',
  );
  const names = rows.flatMap((cell) => [...cell.matchAll(/`([A-Z][A-Z_]+)(?:=[^`]*)?`/g)].map(([, name = '']) => name));
  assert.ok(names.length > 15);
  assert.deepEqual(
    names.filter((name) => !environmentNames.has(name) && name !== 'KUBECONFIG'),
    [],
  );
});

test('values of settings that the guide from NTH gives are ones that the agent takes', () => {
  for (const [, env = '', value = ''] of readProjectFile('docs/migrate-from-nth.md').matchAll(
    /`([A-Z_]+)=([a-z]+)`/g,
  )) {
    const setting = Object.values(agentSettings).find((one) => one.env === env);
    assert.ok(setting !== undefined && 'value' in setting.read([value]), `${env}=${value}`);
  }
});

for (const guide of guides)
  test(`${guide} points only to files that are there`, () => {
    const text = readProjectFile(guide);
    const links = [...text.matchAll(/\]\(([^)#:]+)[^)]*\)/g)].map(([, path = '']) => join(dirname(guide), path));
    const named = [...text.matchAll(/`((?:manifests|docs|build|test)\/[\w./-]+)`/g)].map(([, path = '']) => path);
    assert.deepEqual(
      [...links, ...named].filter((path) => !existsSync(join(projectRoot, path))),
      [],
    );
  });
