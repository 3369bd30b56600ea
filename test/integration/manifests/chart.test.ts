import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { parseManifests, projectRoot } from '../../unit/manifests/manifest-files.ts';
import type { Manifest } from '../../unit/manifests/manifest-problems.ts';
import { renderKustomization, withoutKubectl } from './kustomize.ts';

const withoutHelm = spawnSync('helm', ['version']).status === 0 ? withoutKubectl : 'helm is not installed';

async function renderChart(...flags: readonly string[]): Promise<readonly Manifest[]> {
  // Without a cluster helm takes Kubernetes to be as old as itself.
  const version = ['--kube-version', '1.31.0'];
  const args = [
    'template',
    'spotable',
    join(projectRoot, 'manifests/chart'),
    '--namespace',
    'spotable',
    ...version,
    ...flags,
  ];
  const { stdout } = await promisify(execFile)('helm', args, { timeout: 30_000 });
  return parseManifests(stdout);
}

const byName = (objects: readonly Manifest[]) =>
  Object.fromEntries(objects.map((object) => [`${object.kind}/${object.metadata.name}`, object]));

describe('the Helm chart', { skip: withoutHelm }, () => {
  test('renders what the overlay for EKS builds to, but for the namespace', async () => {
    const { 'Namespace/spotable': _namespace, ...built } = byName(await renderKustomization('manifests/overlays/eks'));
    assert.deepEqual(byName(await renderChart()), built);
  });

  test('takes settings, an image, and leave to do without a component', async () => {
    const settings = [
      '--set',
      'settings.ON_REBALANCE=drain',
      '--set',
      'image.repository=r/a',
      '--set',
      'escalation=false',
    ];
    const objects = byName(await renderChart(...settings));
    assert.equal(objects['ClusterRole/spotable-agent-escalation'], undefined);
    const text = JSON.stringify(objects['DaemonSet/spotable-agent']);
    assert.match(text, /\{"name":"ON_REBALANCE","value":"drain"\}/);
    assert.match(text, /"image":"r\/a:0\.1\.0"/);
  });

  test('puts its namespace wherever the account of the agent is named', async () => {
    const text = JSON.stringify(await renderChart('--namespace', 'other'));
    assert.match(text, /system:serviceaccount:other:spotable-agent/);
    assert.doesNotMatch(text, /"namespace":"spotable"/);
  });
});
