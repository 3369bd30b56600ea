import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { filesBelow, projectRoot } from '../../unit/manifests/manifest-files.ts';
import { type Manifest, manifestProblems } from '../../unit/manifests/manifest-problems.ts';
import { renderKustomization, withoutKubectl } from './kustomize.ts';

interface Container {
  readonly name: string;
  readonly image: string;
  readonly ports?: readonly unknown[];
  readonly resources?: { readonly requests?: Record<string, string>; readonly limits?: Record<string, string> };
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts?: readonly { readonly name: string }[];
}

interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly volumes?: readonly Readonly<Record<string, unknown>>[];
  readonly terminationGracePeriodSeconds?: number;
}

/** Everything that kubectl can apply by itself: components are parts of others. */
const folders = [...filesBelow('manifests', 'kustomization.yaml'), ...filesBelow('docs/examples', 'kustomization.yaml')]
  .map((path) => dirname(path))
  .filter((folder) => !folder.startsWith('manifests/components/'));

function podSpecs(objects: readonly Manifest[]): readonly (readonly [string, PodSpec, Record<string, string>])[] {
  return objects.flatMap(({ kind, metadata, spec }) => {
    const template = (
      spec as { template?: { metadata: { labels: Record<string, string> }; spec: PodSpec } } | undefined
    )?.template;
    return template === undefined
      ? []
      : [[`${kind}/${metadata.name}`, template.spec, template.metadata.labels] as const];
  });
}

function assertLeastPrivilege(name: string, spec: PodSpec): void {
  assert.equal(spec.hostPID ?? spec.hostIPC, undefined, name);
  assert.equal(spec.securityContext?.['runAsNonRoot'], true, name);
  assert.deepEqual(spec.securityContext?.['seccompProfile'], { type: 'RuntimeDefault' }, name);
  const hostPaths = (spec.volumes ?? []).filter((volume) => 'hostPath' in volume);
  const linkOnly = [{ name: 'link', hostPath: { path: '/run/spotable', type: 'DirectoryOrCreate' } }];
  assert.deepEqual(hostPaths, hostPaths.length === 0 ? [] : linkOnly, `${name} mounts the host`);
  for (const { name: container, securityContext, resources } of [...spec.containers, ...(spec.initContainers ?? [])]) {
    const where = `${name} ${container}`;
    // One short program makes the link's directory the agent's.
    const added = where === 'DaemonSet/spotable-agent link-directory' ? { add: ['CHOWN'] } : {};
    assert.deepEqual(securityContext?.['capabilities'], { drop: ['ALL'], ...added }, where);
    assert.equal(securityContext?.['runAsUser'], 'add' in added ? 0 : undefined, where);
    assert.equal(securityContext?.['readOnlyRootFilesystem'], true, where);
    assert.equal(securityContext?.['allowPrivilegeEscalation'], false, where);
    assert.ok(resources?.requests?.['cpu'] && resources.requests['memory'] && resources.limits?.['memory'], where);
  }
}

describe('kubectl kustomize', { skip: withoutKubectl, concurrency: 4 }, () => {
  for (const folder of folders)
    test(`${folder} builds to objects that Kubernetes takes, with no privilege that they can do without`, async () => {
      const objects = await renderKustomization(folder);
      assert.deepEqual(objects.flatMap(manifestProblems), []);
      for (const [name, spec, labels] of podSpecs(objects)) {
        assertLeastPrivilege(name, spec);
        if (labels['spotable.dev/game-server'] !== 'true') continue;
        assert.equal(spec.hostNetwork, true);
        const [game] = spec.containers;
        assert.deepEqual(
          game?.volumeMounts?.filter((mount) => mount.name === 'link'),
          [{ name: 'link', mountPath: '/run/spotable', readOnly: true }],
          `${name} could take the agent's place`,
        );
        assert.equal(game?.env?.find((one) => one.name === 'LINK')?.value, '/run/spotable/link', name);
        const declared = spec.containers.flatMap(({ ports }) => ports ?? []);
        assert.deepEqual(declared, [], `${name} declares ports on the host network`);
        const graces = spec.containers
          .flatMap(({ env }) => env ?? [])
          .filter((one) => one.name === 'SPOTABLE_GRACE_PERIOD');
        assert.deepEqual(graces, [{ name: 'SPOTABLE_GRACE_PERIOD', value: `${spec.terminationGracePeriodSeconds}s` }]);
      }
    });

  test('each overlay has the agent with its rights, escalation and the policy of its own node', async () => {
    for (const overlay of ['eks', 'karpenter', 'managed-node-groups']) {
      const objects = await renderKustomization(`manifests/overlays/${overlay}`);
      const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort();
      assert.deepEqual(names, [
        'ClusterRole/spotable-agent',
        'ClusterRole/spotable-agent-escalation',
        'ClusterRoleBinding/spotable-agent',
        'ClusterRoleBinding/spotable-agent-escalation',
        'DaemonSet/spotable-agent',
        'Namespace/spotable',
        'ServiceAccount/spotable-agent',
        'ValidatingAdmissionPolicy/spotable-agent-own-node',
        'ValidatingAdmissionPolicy/spotable-agent-own-pod-status',
        'ValidatingAdmissionPolicy/spotable-agent-own-pods',
        'ValidatingAdmissionPolicyBinding/spotable-agent-own-node',
        'ValidatingAdmissionPolicyBinding/spotable-agent-own-pod-status',
        'ValidatingAdmissionPolicyBinding/spotable-agent-own-pods',
      ]);
      for (const { kind, metadata } of objects.filter((one) => ['DaemonSet', 'ServiceAccount'].includes(one.kind)))
        assert.equal(metadata.namespace, 'spotable', kind);
    }
  });

  test('monitoring can be added to an overlay by one line', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'spotable-monitoring-'));
    try {
      await cp(join(projectRoot, 'manifests'), join(folder, 'manifests'), { recursive: true });
      const lines = ['resources: [manifests/overlays/eks]', 'components: [manifests/components/monitoring]'];
      await writeFile(join(folder, 'kustomization.yaml'), lines.join('\n'));
      const objects = await renderKustomization(folder);
      const kinds = objects.map(({ kind }) => kind);
      assert.ok(['PodMonitor', 'PrometheusRule', 'ConfigMap'].every((kind) => kinds.includes(kind)));
      assert.deepEqual(objects.flatMap(manifestProblems), []);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('a typo that is planted in the agent is found in what the overlay builds to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'spotable-manifests-'));
    try {
      await cp(join(projectRoot, 'manifests'), folder, { recursive: true });
      const file = join(folder, 'base/agent/daemonset.yaml');
      const planted = (await readFile(file, 'utf8')).replace('hostNetwork: true', 'hostNetwrok: true');
      await writeFile(file, planted);
      const problems = (await renderKustomization(join(folder, 'overlays/eks'))).flatMap(manifestProblems);
      assert.deepEqual(problems, ['unknown field spec.template.spec.hostNetwrok']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
