import {
  allocationLabel,
  fleetLabel,
  overflowAnnotation,
  readyCondition,
  schedulingAnnotation,
} from '../../shared/fleet-names.ts';
import { grpcCodes } from './grpc-code.ts';
import { type Fields, fieldsOf, integerOf, listOf, mapOf, textOf } from './read-fields.ts';
import { RequestError } from './request-error.ts';

export interface Converted {
  /** A Deployment. */
  readonly deployment: object;
  /** Differences and omissions, one sentence each. */
  readonly remarks: readonly string[];
}

const agonesFleetLabel = 'agones.dev/fleet';
const defaultGraceSeconds = 120;
const portName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const protocols: Readonly<Record<string, string>> = { UDP: 'udp', TCP: 'tcp', TCPUDP: 'udp+tcp' };
/** Placeholder for the game's command. A start without a real command fails at once. */
const unknownCommand = 'WRITE-THE-ENTRYPOINT-OF-THE-IMAGE-HERE';

/**
 * Turns an Agones Fleet (agones.dev/v1) into a Deployment that is a fleet here. Throws a RequestError if the document
 * is not a Fleet.
 */
export function convertFleet(document: unknown): Converted {
  const { kind, apiVersion, metadata: metadataValue, spec: specValue } = fieldsOf(document, 'document');
  if (kind !== 'Fleet' || !String(apiVersion).startsWith('agones.dev/'))
    throw new RequestError('Invalid document: expected a Fleet of agones.dev', { code: grpcCodes.invalidArgument });
  const metadata = fieldsOf(metadataValue, 'metadata');
  const name = textOf(metadata['name'], 'metadata.name');
  if (name === '')
    throw new RequestError('Invalid metadata.name: expected a name', { code: grpcCodes.invalidArgument });
  const spec = fieldsOf(specValue, 'spec');
  const template = fieldsOf(spec['template'], 'spec.template');
  const remarks: string[] = [
    'replicas counts warm game servers only; in Agones it counts allocated ones too. The annotation spotable.dev/max caps all of them.',
  ];
  const gameServer = fieldsOf(template['spec'], 'spec.template.spec');
  const templateMetadata = fieldsOf(template['metadata'], 'spec.template.metadata');
  const own = { [allocationLabel]: 'unallocated', [fleetLabel]: name };
  const labels = mapOf(templateMetadata['labels'], 'spec.template.metadata.labels', textOf);
  const annotations = mapOf(templateMetadata['annotations'], 'spec.template.metadata.annotations', textOf);
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name,
      ...only('namespace', metadata['namespace']),
      labels: { ...mapOf(metadata['labels'], 'metadata.labels', textOf), 'app.kubernetes.io/name': name },
      annotations: { ...mapOf(metadata['annotations'], 'metadata.annotations', textOf), ...fleetAnnotations(spec) },
    },
    spec: {
      replicas: integerOf(spec['replicas'], 'spec.replicas'),
      selector: { matchLabels: own },
      strategy: strategyOf(fieldsOf(spec['strategy'], 'spec.strategy')),
      template: {
        metadata: {
          labels: { ...labels, ...own, [agonesFleetLabel]: name, 'spotable.dev/game-server': 'true' },
          ...(Object.keys(annotations).length > 0 && { annotations }),
        },
        spec: podSpec(gameServer, remarks),
      },
    },
  };
  if (listOf(spec['priorities'], 'spec.priorities', fieldsOf).length > 0)
    remarks.push('spec.priorities is left out: a ReplicaSet chooses what to scale down; pod-deletion-cost moves that.');
  if (spec['scheduling'] !== 'Distributed')
    remarks.push(
      'Packed orders allocations and overflow; pods go where the scheduler puts them: see podAffinity, or a profile of it that packs.',
    );
  return { deployment, remarks };
}

function fleetAnnotations(spec: Fields): Readonly<Record<string, string>> {
  const overflow = fieldsOf(spec['allocationOverflow'], 'spec.allocationOverflow');
  return {
    ...(spec['scheduling'] === 'Distributed' && { [schedulingAnnotation]: 'Distributed' }),
    ...(Object.keys(overflow).length > 0 && { [overflowAnnotation]: JSON.stringify(overflow) }),
  };
}

function strategyOf({ type, rollingUpdate }: Fields): object {
  if (type === 'Recreate') return { type };
  const { maxSurge = '25%', maxUnavailable = '25%' } = fieldsOf(rollingUpdate, 'spec.strategy.rollingUpdate');
  return { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } };
}

function podSpec(gameServer: Fields, remarks: string[]): object {
  const { spec } = fieldsOf(gameServer['template'], 'spec.template.spec.template');
  const pod = fieldsOf(spec, 'spec.template.spec.template.spec');
  const containers = listOf(pod['containers'], 'spec.template.spec.template.spec.containers', fieldsOf);
  const gameName = textOf(gameServer['container'], 'spec.template.spec.container') || containers[0]?.['name'];
  if (gameServer['sdkServer'] !== undefined)
    remarks.push(
      'sdkServer is left out: the wrapper serves the SDK itself, on ports that the SDKs find in the environment.',
    );
  if (gameServer['players'] !== undefined) remarks.push('players (alpha) is left out: use a list.');
  if (gameServer['eviction'] !== undefined)
    remarks.push('eviction is left out: a session is protected from its allocation on, a warm game server never.');
  const initContainers = listOf(pod['initContainers'], 'initContainers', fieldsOf);
  return {
    ...pod,
    hostNetwork: true,
    dnsPolicy: pod['dnsPolicy'] ?? 'Default',
    automountServiceAccountToken: pod['automountServiceAccountToken'] ?? false,
    terminationGracePeriodSeconds: pod['terminationGracePeriodSeconds'] ?? defaultGraceSeconds,
    readinessGates: [{ conditionType: readyCondition }],
    initContainers: [wrapperContainer, ...initContainers],
    containers: containers.map((container) =>
      container['name'] === gameName ? gameContainer(container, gameServer, pod, remarks) : container,
    ),
    volumes: [...listOf(pod['volumes'], 'volumes', fieldsOf), ...ownVolumes],
  };
}

const wrapperContainer = {
  name: 'spotable-wrapper',
  image: 'spotable-wrapper:0.1.0',
  command: ['/spotable/bin/node', '-e', "require('node:fs').cpSync('/spotable', '/volume', { recursive: true })"],
  volumeMounts: [{ name: 'spotable', mountPath: '/volume' }],
};

/** Only the agent may write there, because a wrapper trusts any process that answers in it. */
const linkDirectory = '/run/spotable';

const ownVolumes = [
  { name: 'spotable', emptyDir: {} },
  { name: 'link', hostPath: { path: linkDirectory, type: 'DirectoryOrCreate' } },
  {
    name: 'link-token',
    projected: {
      sources: [{ serviceAccountToken: { audience: 'spotable', path: 'token', expirationSeconds: 3600 } }],
    },
  },
];

const podFields = {
  POD_NAME: 'metadata.name',
  POD_NAMESPACE: 'metadata.namespace',
  POD_UID: 'metadata.uid',
  NODE_NAME: 'spec.nodeName',
  NODE_ADDRESS: 'status.hostIP',
} as const;

function gameContainer(container: Fields, gameServer: Fields, pod: Fields, remarks: string[]): object {
  const { command, args, ports: _ports, ...rest } = container;
  const given = listOf(command, 'command', textOf);
  if (given.length === 0)
    remarks.push(`Container ${String(container['name'])} names no command: write what its image starts after "--".`);
  const grace = Number(pod['terminationGracePeriodSeconds'] ?? defaultGraceSeconds);
  return {
    ...rest,
    command: ['/spotable/bin/tini', '--', '/spotable/bin/node', '/spotable/wrapper.cjs'],
    args: [
      ...portFlags(gameServer, remarks),
      '--ready=sdk',
      ...healthFlags(fieldsOf(gameServer['health'], 'health'), remarks),
      ...countFlags(gameServer),
      '--',
      ...(given.length === 0 ? [unknownCommand] : given),
      ...listOf(args, 'args', textOf),
    ],
    env: [
      ...listOf(container['env'], 'env', fieldsOf),
      ...Object.entries(podFields).map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { fieldPath } } })),
      { name: 'SPOTABLE_GRACE_PERIOD', value: `${grace}s` },
      { name: 'LINK', value: `${linkDirectory}/link` },
    ],
    volumeMounts: [
      ...listOf(container['volumeMounts'], 'volumeMounts', fieldsOf),
      { name: 'spotable', mountPath: '/spotable', readOnly: true },
      { name: 'link', mountPath: linkDirectory, readOnly: true },
      { name: 'link-token', mountPath: '/var/run/secrets/spotable', readOnly: true },
    ],
  };
}

function portFlags(gameServer: Fields, remarks: string[]): readonly string[] {
  const ports = listOf(gameServer['ports'], 'spec.template.spec.ports', fieldsOf);
  if (ports.length > 0)
    remarks.push(
      'The game must listen on the port in the environment variable of its name: on the host network nothing maps containerPort.',
    );
  return ports.map((port, index) => {
    const name = textOf(port['name'], 'name') || `port${index}`;
    const flagName = portName.test(name) ? name : name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');
    if (flagName !== name) remarks.push(`Port ${name} is called ${flagName}: it is an environment variable.`);
    const protocol = protocols[textOf(port['protocol'], 'protocol') || 'UDP'] ?? 'udp';
    const policy = textOf(port['portPolicy'], 'portPolicy') || 'Dynamic';
    const pinned = policy === 'Static' ? `:${integerOf(port['hostPort'], 'hostPort')}` : '';
    if (policy === 'Static') remarks.push(`Port ${name} stays pinned: one game server a node.`);
    if (policy === 'Passthrough' || policy === 'None')
      remarks.push(`Port ${name}: ${policy} is what every port is here.`);
    return `--port=${flagName}=${protocol}${pinned}`;
  });
}

function healthFlags(health: Fields, remarks: string[]): readonly string[] {
  if (health['disabled'] === true) return ['--sdk-health-period=none'];
  const flags = [
    ['period', health['periodSeconds']],
    ['delay', health['initialDelaySeconds']],
  ].flatMap(([flag, seconds]) =>
    seconds === undefined ? [] : [`--sdk-health-${flag}=${integerOf(seconds, `health.${flag}`)}s`],
  );
  const threshold = health['failureThreshold'];
  if (threshold !== undefined) flags.push(`--sdk-health-threshold=${integerOf(threshold, 'health.failureThreshold')}`);
  remarks.push(
    'A game that stops calling Health() is told to the inventory; --unhealthy=restart ends it as Agones does.',
  );
  return flags;
}

function countFlags(gameServer: Fields): readonly string[] {
  const counters = mapOf(gameServer['counters'], 'counters', fieldsOf);
  const lists = mapOf(gameServer['lists'], 'lists', fieldsOf);
  return [
    ...Object.entries(counters).map(
      ([name, { count, capacity }]) =>
        `--sdk-counter=${name}=${integerOf(count, `${name}.count`)}/${integerOf(capacity, `${name}.capacity`)}`,
    ),
    ...Object.entries(lists).map(([name, { capacity, values }]) => {
      const initial = listOf(values, `${name}.values`, textOf);
      return `--sdk-list=${name}=${integerOf(capacity, `${name}.capacity`)}${initial.length === 0 ? '' : `:${initial.join(',')}`}`;
    }),
  ];
}

function only(key: string, value: unknown): object {
  return value === undefined ? {} : { [key]: value };
}
