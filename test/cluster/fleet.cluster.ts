import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { AnyKubeObject } from '../../sandbox/kube-client/kube-object.ts';
import type { Pod } from '../../sandbox/kubelet/pod/pod.ts';
import { AgentProcess } from '../integration/agent/scene/agent-process.ts';
import { eventually } from '../integration/agent/scene/eventually.ts';
import { allocate } from '../integration/fleet/fleet-scene.ts';
import { parseManifests, projectRoot, readProjectFile } from '../unit/manifests/manifest-files.ts';
import { rightFor } from './support/audit-log.ts';
import { fleetRoleFile, installFleetPolicies, installFleetRights } from './support/install-fleet.ts';
import { Scene, type SceneNode } from './support/scene.ts';
import { onCluster, testCluster } from './support/test-cluster.ts';

const longMs = 120_000;
const game = join(projectRoot, 'test/integration/agones/fixtures/session-game.ts');
const allocation = (pod: Pod) => pod.metadata.labels?.['spotable.dev/allocation'];
const isReady = (pod: Pod) =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

/** A fleet of real wrappers that speak the SDK to a real game, on one node with a real agent. */
class FleetOnCluster implements AsyncDisposable {
  readonly scene: Scene;
  readonly node: SceneNode;
  readonly #processes: AgentProcess[] = [];

  constructor(scene: Scene, node: SceneNode) {
    this.scene = scene;
    this.node = node;
  }

  template(build: string): object {
    const labels = { 'spotable.dev/fleet': 'arena', 'spotable.dev/allocation': 'unallocated' };
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    return {
      metadata: { labels: { ...labels, 'spotable.dev/game-server': 'true' }, annotations: { build } },
      spec: {
        nodeSelector: { 'spotable.test/scene': this.scene.namespace },
        readinessGates: [{ conditionType: 'spotable.dev/ready' }],
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 5,
        containers: [
          {
            name: 'game',
            image: 'none:1',
            command: [process.execPath, join(projectRoot, 'wrapper/main.ts')],
            args: [
              '--ready=sdk',
              '--metadata-endpoint=none',
              '--trust-link',
              '--sdk-health-period=none',
              `--link=${this.node.link}`,
              '--',
              process.execPath,
              game,
            ],
            env: [
              field('POD_NAME', 'metadata.name'),
              field('POD_NAMESPACE', 'metadata.namespace'),
              field('POD_UID', 'metadata.uid'),
              { name: 'LINK_TOKEN_FILE', value: '/var/run/secrets/spotable/token' },
              { name: 'SPOTABLE_ADVERTISE', value: 'game.example.com' },
            ],
            volumeMounts: [{ name: 'link-token', mountPath: '/var/run/secrets/spotable' }],
          },
        ],
        volumes: [
          {
            name: 'link-token',
            projected: {
              sources: [{ serviceAccountToken: { audience: 'spotable', path: 'token', expirationSeconds: 3600 } }],
            },
          },
        ],
      },
    };
  }

  async create(replicas: number, annotations: object): Promise<void> {
    const matchLabels = { 'spotable.dev/fleet': 'arena', 'spotable.dev/allocation': 'unallocated' };
    await this.scene.kube.create(this.scene.path('deployments'), {
      metadata: { name: 'arena', annotations },
      spec: { replicas, selector: { matchLabels }, template: this.template('1') },
    });
    await this.isWarm(replicas);
  }

  async patch(change: object): Promise<void> {
    await this.scene.kube.patch(this.scene.path('deployments', 'arena'), 'merge', change);
  }

  /** Waits for exactly this many warm game servers, all of the newest build. */
  async isWarm(count: number): Promise<void> {
    const story = async () => {
      const { metadata, status = {} } = await this.scene.kube.get(this.scene.path('deployments', 'arena'));
      const counts = ['readyReplicas', 'replicas', 'updatedReplicas'].map((name) => status[name] ?? 0);
      return status['observedGeneration'] === metadata.generation && counts.every((one) => one === count);
    };
    const told = () => JSON.stringify(this.node.kubeletEvents.slice(-20).map(({ atMs: _, ...one }) => one));
    await eventually(() => `${count} game servers are warm; the node told ${told()}`, story, longMs);
  }

  pod(name: string): Promise<Pod | undefined> {
    return this.scene.kube.get<Pod>(this.scene.path('pods', name)).catch(() => undefined);
  }

  /** The output of the game in that pod. */
  lines(pod: string): readonly string[] {
    return this.node.kubeletEvents.flatMap((one) => (one.event === 'log' && one.pod.endsWith(pod) ? [one.line] : []));
  }

  /** Ends the game as if by itself: its wrapper ends too, and the kubelet restarts the container. */
  endGame(pod: string): void {
    const started = this.node.kubeletEvents.findLast(
      (one) => one.event === 'container-started' && one.pod.endsWith(pod),
    );
    if (started?.event === 'container-started') process.kill(started.pid, 'SIGTERM');
  }

  /** A replica of the fleet process, with the rights of its manifest and nothing else. */
  async serve(identity: string): Promise<{ readonly process: AgentProcess; readonly url: string }> {
    const { url, authority } = testCluster();
    const path = `/api/v1/namespaces/${this.scene.namespace}/serviceaccounts/spotable-fleet/token`;
    const { status = {} } = await this.scene.kube.create(path, { spec: {} });
    const directory = join(this.scene.directory, identity);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'token'), String(status['token']), { mode: 0o600 });
    await writeFile(join(directory, 'ca.crt'), authority);
    const server = new URL(url);
    const process = new AgentProcess(
      {
        KUBERNETES_SERVICE_HOST: server.hostname,
        KUBERNETES_SERVICE_PORT: server.port,
        SERVICE_ACCOUNT_DIR: directory,
        NAMESPACE: this.scene.namespace,
        POD_NAME: identity,
        LISTEN: '0',
        METRICS_PORT: '0',
        ACTIVATION_TIMEOUT: '30s',
      },
      ['serve'],
      [join(projectRoot, 'fleet/main.ts')],
    );
    this.#processes.push(process);
    const { port } = await process.says('Allocations are served', undefined, longMs);
    await eventually('the process is ready', async () => (await process.get('/readyz')).status === 200, longMs);
    return { process, url: `http://127.0.0.1:${port}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.hasExited || process.end()));
  }
}

/** Every right that the fleet process's roles give. */
function grantedRights(): readonly string[] {
  return parseManifests(readProjectFile(fleetRoleFile))
    .flatMap((object) => (object['rules'] ?? []) as readonly Record<'apiGroups' | 'resources' | 'verbs', string[]>[])
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((one) => verbs.map((verb) => `${verb} ${one}${group === '' ? '' : `.${group}`}`)),
      ),
    );
}

describe('a fleet', onCluster, () => {
  test('is warm, gives sessions, is rolled out beside them, marks them, takes them back, and gives none on a node that goes', async () => {
    await using scene = await Scene.start();
    await installFleetPolicies(scene.kube);
    await installFleetRights(scene.kube, scene.namespace);
    const node = await scene.addNode();
    await node.startAgent();
    await using fleet = new FleetOnCluster(scene, node);
    const overflow = JSON.stringify({ labels: { mode: '' }, annotations: { event: 'overflow' } });
    // READY waits for the game's Ready(): the wrapper reports it to the agent, which sets it on the pod.
    await fleet.create(2, { 'spotable.dev/allocation-overflow': overflow, 'spotable.dev/max': '4' });
    const { process, url } = await fleet.serve('fleet-a');
    await process.says('Sessions are protected by admission policy', undefined, longMs);
    const { namespace } = scene;
    const other = await fleet.serve('fleet-b');
    const ask = (id: string, at = url) =>
      allocate(at, {
        namespace,
        metadata: { labels: { mode: 'dm' }, annotations: { 'spotable.dev/session-id': id } },
      });
    const first = await ask('match-1');
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.equal(first.body['address'], 'game.example.com');
    const ports = first.body['ports'] as { name: string; port: number }[];
    assert.deepEqual(ports.map(({ name }) => name).sort(), ['RCON_PORT', 'SERVER_PORT']);
    const match = first.body.gameServerName ?? '';
    await eventually('the game sees its session', () =>
      fleet.lines(match).includes('game Allocated mode=dm event=- file=match-1'),
    );
    await eventually(
      'the pod says that it was taken',
      async () => (await fleet.pod(match))?.metadata.annotations?.['spotable.dev/session-taken'] === 'match-1',
    );
    // A replacement comes up, then a new build. The match keeps its game server and is told of the overflow.
    await fleet.isWarm(2);
    const uid = (await fleet.pod(match))?.metadata.uid;
    await fleet.patch({ spec: { template: { metadata: { annotations: { build: '2' } } } } });
    await fleet.isWarm(2);
    await eventually('the game hears of the overflow', () =>
      fleet.lines(match).includes('game Allocated mode= event=overflow file=match-1'),
    );
    const stillThere = await fleet.pod(match);
    assert.equal(stillThere?.metadata.uid, uid);
    assert.equal(stillThere !== undefined && isReady(stillThere), true);
    assert.equal((await ask('match-1')).body.gameServerName, match);
    // A second match ends with Ready(): its game server is given back, and the ReplicaSet adopts it.
    const answers = await Promise.all([ask('match-2'), ask('match-2', other.url), ask('match-2', other.url)]);
    assert.equal(new Set(answers.map(({ body }) => body.gameServerName)).size, 1, JSON.stringify(answers));
    // The first replica runs the loop, because it has the lease.
    await other.process.end('SIGTERM');
    const second = answers[0].body.gameServerName ?? '';
    await eventually('it is there', () => fleet.lines(second).some((line) => line.includes('file=match-2')));
    await scene.kube.patch(scene.path('pods', second), 'merge', { metadata: { annotations: { event: 'end' } } });
    await process.says('Game server given back', ({ pod }) => pod === second, longMs);
    await eventually('it belongs to its ReplicaSet again, or has given way to another one', async () => {
      const pod = await fleet.pod(second);
      return (
        pod === undefined || pod.metadata.deletionTimestamp !== undefined || pod.metadata.ownerReferences?.length === 1
      );
    });
    // The first match's game ends: its container restarts, serves nobody, and its pod is deleted.
    fleet.endGame(match);
    await process.says('Spent game server deleted', ({ pod }) => pod === match, longMs);
    const afterwards = fleet
      .lines(match)
      .slice(fleet.lines(match).findIndex((line) => line.startsWith('game Allocated')));
    assert.ok(!afterwards.some((line) => line.startsWith('game Ready') && line.includes('file=match')));
    // After a notice no session begins on the node.
    await fleet.isWarm(2);
    node.announceSpot(60_000);
    await eventually('the node is marked', () => node.isCordoned());
    await eventually('no session begins there', async () => (await ask(`late-${Date.now()}`)).status === 429, longMs);
    const before = (await scene.pods()).filter((pod) => allocation(pod) === 'allocated').length;
    assert.equal((await ask('too-late')).status, 429);
    assert.equal((await scene.pods()).filter((pod) => allocation(pod) === 'allocated').length, before);
    assert.equal(await process.end('SIGTERM'), 0);
    const { requestsBy } = await import('./support/audit-log.ts');
    const events = await requestsBy(`system:serviceaccount:${namespace}:spotable-fleet`);
    assert.deepEqual(
      events.filter(({ responseStatus }) => responseStatus.code === 403),
      [],
    );
    const used = new Set(events.map(rightFor).filter((right) => right !== undefined));
    const granted = grantedRights();
    assert.deepEqual(
      {
        unused: granted.filter((right) => !used.has(right)),
        missing: [...used].filter((one) => !granted.includes(one)),
      },
      { unused: [], missing: [] },
    );
    const shown = await scene.kube.list<AnyKubeObject & { readonly reason: string }>(
      `${scene.path('events')}?fieldSelector=involvedObject.name%3Darena`,
    );
    const reasons = shown.items.map(({ reason }) => reason);
    for (const reason of ['ScalingReplicaSet', 'SessionOverflow']) assert.ok(reasons.includes(reason), reason);
  });
});
