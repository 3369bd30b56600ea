import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { isRefusedWith } from '../../sandbox/kube-client/kube-client.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { filesBelow, projectRoot, readProjectFile } from '../unit/manifests/manifest-files.ts';
import { adminClient, skipWithoutKubectl, testCluster } from './support/test-cluster.ts';

const commandMs = 60_000;

/** Every folder that can be applied by itself. */
const folders = [...filesBelow('manifests', 'kustomization.yaml'), ...filesBelow('docs/examples', 'kustomization.yaml')]
  .filter((file) => /^kind: Kustomization$/m.test(readProjectFile(file)))
  .map((file) => dirname(file));

/**
 * Kinds of the Prometheus operator, which is not installed here. Only the API server's knowledge of the kinds is
 * missing; another test checks their fields.
 */
const operatorKinds = { PodMonitor: 'podmonitors', PrometheusRule: 'prometheusrules' };

async function dryRun(folder: string): Promise<string> {
  const path = folder.startsWith('/') ? folder : join(projectRoot, folder);
  const args = ['apply', '--dry-run=server', '--validate=strict', '-k', path];
  const env = { ...process.env, KUBECONFIG: testCluster().kubeconfig };
  const { stdout, stderr } = await promisify(execFile)('kubectl', args, { env, timeout: commandMs });
  // Some of the objects exist already and were created by other means.
  const warnings = stderr.split('\n').filter((line) => line !== '' && !line.includes('last-applied-configuration'));
  assert.deepEqual(warnings, []);
  return stdout;
}

describe('kubectl apply --dry-run=server', { skip: skipWithoutKubectl, concurrency: 2 }, () => {
  before(async () => {
    const kube = adminClient();
    // A dry run does not create the namespace that later objects need.
    await kube.create('/api/v1/namespaces', { metadata: { name: 'arena' } }).catch((error: unknown) => {
      if (!isRefusedWith(error, 409)) throw error;
    });
    for (const [kind, plural] of Object.entries(operatorKinds)) {
      const group = 'monitoring.coreos.com';
      const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
      await kube.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
        metadata: { name: `${plural}.${group}` },
        spec: {
          ...{ group, scope: 'Namespaced', names: { kind, plural } },
          versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
        },
      });
      await eventually(`${kind} is served`, () => kube.list(`/apis/${group}/v1/${plural}`).catch(() => false as const));
    }
    kube.close();
  });

  test('there are kustomizations', () => assert.ok(folders.length > 5, folders.join()));

  for (const folder of folders)
    test(`takes ${folder}`, async () => {
      assert.match(await dryRun(folder), /(created|configured|unchanged) \(server dry run\)/);
    });

  test('takes an overlay with monitoring', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'spotable-dry-run-'));
    try {
      await cp(join(projectRoot, 'manifests'), join(folder, 'manifests'), { recursive: true });
      const lines = ['resources: [manifests/overlays/eks]', 'components: [manifests/components/monitoring]'];
      await writeFile(join(folder, 'kustomization.yaml'), lines.join('\n'));
      const output = await dryRun(folder);
      assert.match(output, /podmonitor\S+ created/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
