import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { compileAddon } from '../../../fanout/native/compile-addon.ts';
import { loadAddon } from '../../../fanout/transport/addon.ts';

const folder = mkdtempSync(join(tmpdir(), 'fanout-addon-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const addonFile = join(folder, 'fanout.node');
const compiled = await compileAddon({ outFile: addonFile });
const skip = compiled.kind === 'skipped' ? compiled.reason : false;
const readelf = (...args: string[]) => execFileSync('readelf', [...args, addonFile], { encoding: 'utf8' });
const skipReadelf = skip || (spawnSync('readelf', ['--version']).status === 0 ? false : 'no readelf');

test('the addon loads and has the supported version', { skip }, () => {
  assert.ok('addon' in loadAddon(addonFile));
});

test('a missing addon is a reason, not an exception', () => {
  assert.ok('reason' in loadAddon(join(folder, 'missing.node')));
});

test('the addon is hardened: read-only relocations, no executable stack, stack protector', {
  skip: skipReadelf,
}, () => {
  assert.match(readelf('--dynamic', '--wide'), /BIND_NOW/);
  const segments = readelf('--program-headers', '--wide');
  assert.match(segments, /GNU_RELRO/);
  assert.match(segments, /GNU_STACK\s.*\sRW\s/);
  assert.match(readelf('--symbols', '--wide'), /__stack_chk_fail/);
});
