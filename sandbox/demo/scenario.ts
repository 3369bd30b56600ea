import { join } from 'node:path';
import type { DemoConfig } from './demo-settings.ts';

const root: string = join(import.meta.dirname, '..', '..');
export const gameNamespace = 'arena';
export const agentNamespace = 'spotable';

/** A Deployment of identical game servers. */
export interface GameGroup {
  readonly name: string;
  readonly replicas: number;
  readonly command: readonly string[];
  readonly wrapperFlags?: readonly string[];
  /** The game ignores SIGTERM and must be killed. */
  readonly isStubborn: boolean;
  /** A budget forbids its eviction. */
  readonly isGuarded: boolean;
}

/** AWS settings of the demo's processes: addresses on loopback and dummy credentials. */
export interface CloudSettings {
  readonly queueUrl: string;
  readonly sqsEndpoint: string;
}

const graceSeconds = 10;
const tokenPath = '/var/run/secrets/spotable';
const node = process.execPath;
const sampleGame: string = join(root, 'sandbox', 'game', 'main.ts');

/** Most games are ordinary. If there are enough, one is stubborn and one has a budget. */
export function gameGroups(config: DemoConfig): readonly GameGroup[] {
  return [...ordinaryGroups(config), ...(config.sdk ? sdkGroups : [])];
}

function ordinaryGroups({ gameServers, game, seed, sdk }: DemoConfig): readonly GameGroup[] {
  const random = seededRandom(seed);
  const sample = (...flags: string[]) => [
    node,
    sampleGame,
    '--players',
    String(2 + Math.floor(random() * 30)),
    '--save',
    `${300 + Math.floor(random() * 1700)}ms`,
    ...flags,
  ];
  const count = sdk ? Math.max(0, gameServers - sdkGroups.length) : gameServers;
  // With the SDK the demo shows the order of eviction, so no game is stubborn.
  const special = sdk ? 0 : Math.min(2, count - 1);
  const groups = [
    { name: 'arena', replicas: count - special, command: game ?? sample(), isStubborn: false, isGuarded: false },
    {
      name: game === undefined ? 'stubborn' : 'lobby',
      replicas: special > 0 ? 1 : 0,
      command: game ?? sample('--stubborn'),
      isStubborn: game === undefined,
      isGuarded: false,
    },
    { name: 'guarded', replicas: special > 1 ? 1 : 0, command: game ?? sample(), isStubborn: false, isGuarded: true },
  ];
  return groups.filter(({ replicas }) => replicas > 0);
}

/** Games that speak Agones' SDK. The one with a match plays until shortly before the end. */
const sdkGroups: readonly GameGroup[] = [
  {
    name: 'sdk-idle',
    replicas: 1,
    wrapperFlags: ['--sdk', 'rest', '--ready', 'sdk'],
    command: [node, sampleGame, '--sdk', '--save', '300ms'],
    isStubborn: false,
    isGuarded: false,
  },
  {
    name: 'sdk-match',
    replicas: 1,
    wrapperFlags: ['--sdk', 'rest', '--ready', 'sdk', '--stop-at', '3s'],
    command: [node, sampleGame, '--sdk', '--allocated', '--players', '8', '--save', '500ms'],
    isStubborn: false,
    isGuarded: false,
  },
];

/** A match that players reach through the fan-out proxy. Its second replica starts on another node. */
export const matchGroup: GameGroup = {
  name: 'match',
  replicas: 1,
  // All nodes of the sandbox are this machine, so the proxy reaches a replica on loopback.
  wrapperFlags: ['--advertise', '127.0.0.1'],
  command: [node, sampleGame, '--save', '5s'],
  isStubborn: false,
  isGuarded: false,
};

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function gameDeployment(
  { name, replicas, command, wrapperFlags = [] }: GameGroup,
  cloud: CloudSettings,
): object {
  const labels = { app: name, 'spotable.dev/game-server': 'true' };
  const wrapper = [
    node,
    join(root, 'wrapper', 'main.ts'),
    '--grace-period',
    `${graceSeconds}s`,
    '--type',
    name,
    ...wrapperFlags,
    '--',
    ...command,
  ];
  const container = {
    name: 'game',
    image: 'example.org/arena:1',
    command: wrapper,
    env: [
      ...fromField('POD_NAME', 'metadata.name'),
      ...fromField('POD_NAMESPACE', 'metadata.namespace'),
      ...fromField('POD_UID', 'metadata.uid'),
      ...fromField('NODE_NAME', 'spec.nodeName'),
      ...cloudEnvironment(cloud),
      { name: 'LINK_TOKEN_FILE', value: `${tokenPath}/token` },
    ],
    volumeMounts: [{ name: 'link-token', mountPath: tokenPath, readOnly: true }],
  };
  const projection = { serviceAccountToken: { audience: 'spotable', expirationSeconds: 3600, path: 'token' } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: gameNamespace, labels },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels },
        spec: {
          hostNetwork: true,
          terminationGracePeriodSeconds: graceSeconds,
          containers: [container],
          // Proves to the agent which pod the wrapper is.
          volumes: [{ name: 'link-token', projected: { sources: [projection] } }],
        },
      },
    },
  };
}

export function budgetFor({ name }: GameGroup): object {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name, namespace: gameNamespace },
    spec: { maxUnavailable: 0, selector: { matchLabels: { app: name } } },
  };
}

/** The agent's pod, as its DaemonSet would create it. */
export function agentPod(nodeName: string, kubeconfig: string, cloud: CloudSettings, daemonSetUid: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `agent-${nodeName}`,
      namespace: agentNamespace,
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'agent', uid: daemonSetUid, controller: true },
      ],
    },
    spec: {
      nodeName,
      hostNetwork: true,
      serviceAccountName: 'agent',
      containers: [
        {
          name: 'agent',
          image: 'example.org/spotable-agent:1',
          command: [node, join(root, 'agent', 'main.ts')],
          env: [
            ...fromField('NODE_NAME', 'spec.nodeName'),
            ...fromField('POD_UID', 'metadata.uid'),
            // Both agents run on this machine, so each needs a free port.
            { name: 'METRICS_PORT', value: '0' },
            { name: 'KUBECONFIG', value: kubeconfig },
            ...cloudEnvironment(cloud),
          ],
        },
      ],
    },
  };
}

export const agentDaemonSet: object = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'agent', namespace: agentNamespace },
  spec: {
    selector: { matchLabels: { app: 'agent' } },
    template: {
      metadata: { labels: { app: 'agent' } },
      spec: { containers: [{ name: 'agent', image: 'example.org/spotable-agent:1' }] },
    },
  },
};

/** The same rights as the deployed agent's. */
export const agentRole: object = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'spotable-agent' },
  rules: [
    { apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch', 'patch'] },
    { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch', 'delete', 'patch'] },
    { apiGroups: [''], resources: ['pods/eviction'], verbs: ['create'] },
    { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  ],
};

export const agentRoleBinding: object = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: 'spotable-agent' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'spotable-agent' },
  subjects: [{ kind: 'ServiceAccount', name: 'agent', namespace: agentNamespace }],
};

function fromField(name: string, fieldPath: string): object[] {
  return [{ name, valueFrom: { fieldRef: { fieldPath } } }];
}

function cloudEnvironment({ queueUrl, sqsEndpoint }: CloudSettings): object[] {
  const values = {
    QUEUE_URL: queueUrl,
    AWS_ENDPOINT_URL_SQS: sqsEndpoint,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'sandbox',
    AWS_SECRET_ACCESS_KEY: 'sandbox',
  };
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}
