import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fixedCredentials, KubeClient } from '../../../sandbox/kube-client/kube-client.ts';
import { type Kubelet, startKubelet } from '../../../sandbox/kubelet/kubelet.ts';
import type { KubeletEvent } from '../../../sandbox/kubelet/kubelet-event.ts';
import type { Pod } from '../../../sandbox/kubelet/pod/pod.ts';
import type { Image } from '../../../sandbox/kubelet/pod/resolve-command.ts';
import { startMetadataService } from '../../../sandbox/metadata/metadata-service.ts';
import { startQueueService } from '../../../sandbox/sqs/queue-service.ts';
import { type ControlPlane, findFreePort } from '../../control-plane/control-plane.ts';
import { eventually } from '../../integration/agent/scene/eventually.ts';
import { parseManifests, projectRoot, readProjectFile } from '../../unit/manifests/manifest-files.ts';

export interface WalkNode extends AsyncDisposable {
  readonly kubelet: Kubelet;
  readonly queueUrl: string;
  /** Lines of the containers' output, by container. */
  readonly lines: readonly { readonly container: string; readonly line: string }[];
}

const queueName = 'game-servers.fifo';
/** As the guide's example names it; what is not pushed there cannot be pulled. */
const registry = '111122223333.dkr.ecr.eu-west-1.amazonaws.com';

/** Writes a script that runs one of the project's programs as the image's own file at that path would. */
async function writeScript(file: string, command: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${command}\n`);
  await chmod(file, 0o755);
}

/**
 * Stands in for the images that the guide builds and pushes: `/spotable` with node, tini and the programs, and a game
 * with its own command.
 */
async function makeImages(folder: string): Promise<Readonly<Record<string, Image>>> {
  const spotable = join(folder, 'spotable');
  const bin = join(spotable, 'bin');
  await mkdir(bin, { recursive: true });
  await symlink(process.execPath, join(bin, 'node'));
  await writeScript(join(bin, 'tini'), 'shift; exec "$@"');
  for (const name of ['wrapper', 'inventory'])
    await writeFile(join(spotable, `${name}.cjs`), `import('${join(projectRoot, name, 'main.ts')}');\n`);
  await writeScript(
    join(bin, 'arena-server'),
    `exec '${process.execPath}' '${projectRoot}/sandbox/game/main.ts' --save 200ms`,
  );
  const paths = { '/spotable': spotable };
  return {
    [`${registry}/spotable-agent`]: { command: [process.execPath, join(projectRoot, 'agent', 'main.ts')], paths },
    [`${registry}/arena`]: { paths },
  };
}

/** The only spot node of a user who walks through a guide: it runs what the guide's manifests say. */
export async function startWalkNode({ url, authority, adminToken }: ControlPlane, folder: string): Promise<WalkNode> {
  const metadata = await startMetadataService();
  const queue = await startQueueService({ queues: [{ name: queueName }] });
  const images = await makeImages(folder);
  const server = new URL(url);
  // The kubelet's containers run as the tests' user, who may lack the rights that root has in the guide.
  const asRoot = join(folder, 'as-root.cjs');
  await writeFile(asRoot, "require('node:fs').chownSync = () => {};\n");
  const lines: { container: string; line: string }[] = [];
  const tell = (event: KubeletEvent) => {
    if (event.event === 'log') lines.push({ container: event.container, line: event.line });
    if (event.event === 'container-failed') lines.push({ container: event.container, line: event.message });
  };
  const kubelet = await startKubelet({
    credentials: fixedCredentials(url, { token: adminToken, ca: authority }),
    node: 'n-1',
    labels: { 'eks.amazonaws.com/capacityType': 'SPOT' },
    root: join(folder, 'kubelet'),
    images,
    hostRoot: join(folder, 'host'),
    imageDirectory: folder,
    imageEnvironment: {
      ...(process.getuid?.() !== 0 && { NODE_OPTIONS: `--require=${asRoot}` }),
      PATH: `${join(folder, 'spotable', 'bin')}:${process.env['PATH'] ?? ''}`,
      // Facts of a node, its instance and its cluster that every pod gets.
      KUBERNETES_SERVICE_HOST: server.hostname,
      KUBERNETES_SERVICE_PORT: server.port,
      SERVICE_ACCOUNT_DIR: '/var/run/secrets/kubernetes.io/serviceaccount',
      LINK_TOKEN_FILE: '/var/run/secrets/spotable/token',
      METADATA_ENDPOINT: metadata.url,
      AWS_ENDPOINT_URL_SQS: queue.endpoint,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
    },
    tell,
  });
  const end = async () => {
    await kubelet.take();
    await Promise.all([metadata.close(), queue.close()]);
  };
  return { kubelet, queueUrl: queue.queueUrl(queueName), lines, [Symbol.asyncDispose]: end };
}

interface Workload {
  readonly template?: { readonly spec: { readonly containers: { readonly env: { readonly name: string }[] }[] } };
}

/**
 * Moves the ports in the pods' manifests to free ones and the agent's abstract address to another, because pods share
 * this machine with other processes. Sets the queue to the local one.
 */
export async function adaptPods({ url, authority, adminToken }: ControlPlane, queueUrl: string): Promise<void> {
  const kube = new KubeClient(fixedCredentials(url, { token: adminToken, ca: authority }));
  const policies = '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies';
  const change = (path: string, value: string) =>
    `JSONPatch{op: "replace", path: "/spec/containers/0/${path}", value: ${value}}`;
  const indexOf = (file: string, name: string) => {
    const [template] = parseManifests(readProjectFile(file)).flatMap(({ spec }) => (spec as Workload)?.template ?? []);
    const env = template?.spec.containers[0]?.env ?? [];
    const at = env.findIndex((one) => one.name === name);
    // The cluster's own kustomization appends its values after the others.
    return at < 0 ? env.length : at;
  };
  const set = (file: string, name: string, value: string) => change(`env/${indexOf(file, name)}/value`, `"${value}"`);
  const agent = 'manifests/base/agent/daemonset.yaml';
  const inventory = 'manifests/inventory/inventory.yaml';
  const moves = {
    agent: (port: number) => [
      change('ports/0/hostPort', `${port}`),
      set(agent, 'METRICS_PORT', `${port}`),
      set(agent, 'QUEUE_URL', queueUrl),
      set(agent, 'LINK', `/run/spotable/link @spotable-walk-${process.pid}`),
    ],
    inventory: (port: number) => [
      set(inventory, 'INVENTORY_SERVE', `0.0.0.0:${port}`),
      set(inventory, 'QUEUE_URL', queueUrl),
    ],
  };
  for (const [name, move] of Object.entries(moves)) {
    const port = await findFreePort();
    const expression = `[${[change('ports/0/containerPort', `${port}`), ...move(port)].join()}]`;
    const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] };
    await kube.create(policies, {
      metadata: { name: `move-${name}` },
      spec: {
        failurePolicy: 'Fail',
        reinvocationPolicy: 'Never',
        matchConstraints: { resourceRules: [rule] },
        matchConditions: [{ name: 'is-it', expression: `object.spec.containers[0].name == "${name}"` }],
        mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression } }],
      },
    });
    const binding = { metadata: { name: `move-${name}` }, spec: { policyName: `move-${name}` } };
    await kube.create(policies.replace('policies', 'policybindings'), binding);
  }
  await eventually('ports are moved', async () => {
    const ports = [{ containerPort: 1, hostPort: 1 }];
    const env = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, value: '' }));
    const containers = (name: string) => [{ name, image: 'none:1', ports, env }];
    const made = await Promise.all(
      Object.keys(moves).map((name) =>
        kube.create<Pod>('/api/v1/namespaces/default/pods?dryRun=All', {
          metadata: { name },
          spec: { containers: containers(name) },
        }),
      ),
    );
    return made.every(({ spec }) => spec.containers[0]?.ports?.[0]?.containerPort !== 1);
  });
  kube.close();
}
