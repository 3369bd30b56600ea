import {
  duration,
  httpUrl,
  integer,
  matching,
  oneOf,
  optional,
  type Parse,
  path,
  plainHttpUrl,
  repeated,
  type Setting,
  setting,
  text,
  toggle,
} from '../../shared/settings/setting.ts';
import { sdkCounter, sdkList } from '../agones/parse-sdk-setting.ts';
import type { WrapperConfig } from './config.ts';
import {
  action,
  label,
  type PortRequest,
  portRange,
  portRequest,
  property,
  readyRule,
  template,
} from './parse-setting.ts';

export type WrapperSettings = { readonly [K in keyof WrapperConfig]: Setting<WrapperConfig[K]> };

/** Accepts "off", or else what the given parser accepts. */
function orNone<T>(parse: Parse<T>): Parse<T | undefined> {
  return (value) => {
    if (value === 'none') return { value: undefined };
    const parsed = parse(value);
    return 'expected' in parsed ? { expected: `none, or ${parsed.expected}` } : parsed;
  };
}

const seedPorts: readonly PortRequest[] = [
  { name: 'SERVER_PORT', protocol: 'udp+tcp', count: 1, pinned: undefined },
  { name: 'RCON_PORT', protocol: 'tcp', count: 1, pinned: undefined },
];

const queueUrl: Parse<string> = (value) => {
  const parsed = httpUrl(value);
  return 'expected' in parsed ? { expected: `the queue's URL, ${parsed.expected}` } : { value };
};

const address = matching(/^[\w.:-]{1,253}$/, 'a host name or an address');

/**
 * Every flag of the wrapper. The game shares our environment and has names of its own there (TYPE, PORTS, ...), so ours
 * have a prefix, except names that the whole project or AWS has fixed.
 */
export const wrapperSettings: WrapperSettings = {
  ports: repeated(
    {
      flag: 'port',
      env: 'SPOTABLE_PORTS',
      placeholder: 'NAME=udp|tcp|udp+tcp[*COUNT][:PORT]',
      help: 'a port to lease; the first one is what players connect to',
    },
    portRequest,
    seedPorts,
    'SERVER_PORT=udp+tcp RCON_PORT=tcp',
  ),
  portRange: setting(
    { flag: 'port-range', env: 'SPOTABLE_PORT_RANGE', placeholder: 'FIRST-LAST', help: 'where ports are leased' },
    portRange,
    { first: 20_000, last: 29_999 },
    '20000-29999',
  ),
  leaseDir: optional(
    {
      flag: 'lease-dir',
      env: 'SPOTABLE_LEASE_DIR',
      placeholder: 'DIR',
      help: 'hold leases as files here, where abstract sockets are missing',
    },
    path,
  ),
  templates: repeated(
    { flag: 'template', placeholder: 'SOURCE:DESTINATION', help: 'write a file with {NAME} filled in' },
    template,
    [],
  ),
  properties: repeated(
    { flag: 'property', placeholder: 'FILE:KEY=VALUE', help: 'set a line of a key=value file' },
    property,
    [],
  ),
  ready: setting(
    {
      flag: 'ready',
      env: 'SPOTABLE_READY',
      placeholder: 'RULE',
      help: 'bound[:NAME,..] tcp[:NAME] log:REGEX file:PATH delay:5s sdk',
    },
    readyRule,
    { kind: 'bound', names: [] },
    'bound',
  ),
  readyTimeoutMs: setting(
    {
      flag: 'ready-timeout',
      env: 'SPOTABLE_READY_TIMEOUT',
      placeholder: 'TIME',
      help: 'end a game that is not ready within this time',
    },
    duration({ minMs: 100 }),
    600_000,
    '10m',
  ),
  livenessMs: setting(
    {
      flag: 'liveness',
      env: 'SPOTABLE_LIVENESS',
      placeholder: 'TIME|none',
      help: 'how often the ready rule is checked afterwards',
    },
    orNone(duration({ minMs: 100 })),
    10_000,
    '10s',
  ),
  whenUnhealthy: setting(
    { flag: 'unhealthy', env: 'SPOTABLE_UNHEALTHY', placeholder: 'ACT', help: 'tell (the inventory), restart or end' },
    oneOf(['tell', 'restart', 'end']),
    'tell',
  ),
  warn: repeated(
    { flag: 'warn', placeholder: 'ACTION', help: 'action as soon as the end is known (forms as for --stop)' },
    action,
    [],
  ),
  stop: repeated(
    { flag: 'stop', placeholder: 'ACTION', help: 'signal:NAME stdin:TEXT exec:COMMAND wait:5s, in order' },
    action,
    [],
    'signal:SIGTERM',
  ),
  signalScope: setting(
    {
      flag: 'signal-scope',
      env: 'SPOTABLE_SIGNAL_SCOPE',
      placeholder: 'SCOPE',
      help: 'which processes get signals: auto, first, game (holds a port), group',
    },
    oneOf(['auto', 'first', 'game', 'group']),
    'auto',
  ),
  stopAtMs: optional(
    {
      flag: 'stop-at',
      env: 'SPOTABLE_STOP_AT',
      placeholder: 'TIME',
      help: 'play on until this long before the end (else stop at once)',
    },
    duration(),
  ),
  gracePeriodMs: setting(
    {
      flag: 'grace-period',
      env: 'SPOTABLE_GRACE_PERIOD',
      placeholder: 'TIME',
      help: "after a SIGTERM; the pod's terminationGracePeriodSeconds",
    },
    duration(),
    30_000,
    '30s',
  ),
  safetyMarginMs: setting(
    {
      flag: 'safety-margin',
      env: 'SPOTABLE_SAFETY_MARGIN',
      placeholder: 'TIME',
      help: 'end this long before the instance does',
    },
    duration(),
    5000,
    '5s',
  ),
  link: setting(
    { flag: 'link', env: 'LINK', placeholder: '@NAME|PATH|none', help: "the agent's socket" },
    orNone(matching(/^@?[^\0\s]{1,106}$/, '@NAME or a path')),
    '@spotable',
  ),
  trustsLink: toggle({
    flag: 'trust-link',
    env: 'TRUST_LINK',
    help: 'trust the peer at --link even if any process of the node could listen there',
  }),
  linkTokenFile: setting(
    {
      flag: 'link-token-file',
      env: 'LINK_TOKEN_FILE',
      placeholder: 'PATH',
      help: 'token file that proves to the agent which pod we are',
    },
    text,
    '/var/run/secrets/spotable/token',
  ),
  metadataEndpoint: setting(
    { flag: 'metadata-endpoint', env: 'METADATA_ENDPOINT', placeholder: 'URL|none', help: 'the EC2 metadata service' },
    orNone(plainHttpUrl),
    new URL('http://169.254.169.254'),
    'http://169.254.169.254',
  ),
  queueUrl: optional(
    { flag: 'queue-url', env: 'QUEUE_URL', placeholder: 'URL', help: 'the SQS queue for inventory events' },
    queueUrl,
  ),
  awsRegion: optional({ flag: 'aws-region', env: 'AWS_REGION', help: "the queue's region" }, text),
  sqsEndpoint: optional(
    { flag: 'sqs-endpoint', env: 'AWS_ENDPOINT_URL_SQS', placeholder: 'URL', help: 'where SQS is reached' },
    httpUrl,
  ),
  awsEndpoint: optional(
    { flag: 'aws-endpoint', env: 'AWS_ENDPOINT_URL', placeholder: 'URL', help: 'the same, for all of AWS' },
    httpUrl,
  ),
  heartbeatMs: setting(
    {
      flag: 'heartbeat',
      env: 'SPOTABLE_HEARTBEAT',
      placeholder: 'TIME',
      help: 'how often to send a heartbeat to the inventory',
    },
    duration({ minMs: 100 }),
    30_000,
    '30s',
  ),
  leaseMs: setting(
    {
      flag: 'lease',
      env: 'SPOTABLE_LEASE',
      placeholder: 'TIME',
      help: 'the inventory counts us as lost after this long without an event',
    },
    duration({ minMs: 100 }),
    90_000,
    '90s',
  ),
  format: setting(
    {
      flag: 'format',
      env: 'SPOTABLE_FORMAT',
      placeholder: 'FORMAT',
      help: "cloudevents, or seed: the seed's list of one",
    },
    oneOf(['cloudevents', 'seed']),
    'cloudevents',
  ),
  advertise: optional(
    {
      flag: 'advertise',
      env: 'SPOTABLE_ADVERTISE',
      placeholder: 'HOST',
      help: 'address for players (default: from metadata, or the node)',
    },
    address,
  ),
  type: setting(
    { flag: 'type', env: 'SPOTABLE_TYPE', placeholder: 'NAME', help: 'kind of game server, as shown in the inventory' },
    matching(/^[\w .:/@+-]{1,128}$/, 'at most 128 letters, digits, spaces and . _ : / @ + -'),
    'game-server',
  ),
  labels: repeated(
    { flag: 'label', env: 'LABELS', placeholder: 'KEY=VALUE', help: 'add a label to every event' },
    label,
    [],
  ),
  statusFile: optional(
    {
      flag: 'status-file',
      env: 'SPOTABLE_STATUS_FILE',
      placeholder: 'PATH',
      help: 'the game writes {"players":N,"allocated":B,"labels":{}} here',
    },
    path,
  ),
  stateDir: optional(
    {
      flag: 'state-dir',
      env: 'SPOTABLE_STATE_DIR',
      placeholder: 'DIR',
      help: 'directory for SPOTABLE_DEADLINE_FILE and ..STATE_FILE (default the temporary directory)',
    },
    path,
  ),
  sdk: optional(
    {
      flag: 'sdk',
      env: 'SPOTABLE_SDK',
      placeholder: 'rest|rest+grpc',
      help: "serve Agones' SDK to the game (rest+grpc with --ready sdk)",
    },
    oneOf(['rest', 'rest+grpc']),
  ),
  sdkOpen: toggle({
    flag: 'sdk-open',
    env: 'SPOTABLE_SDK_OPEN',
    help: 'let every process of the node call the SDK server, not only the game',
  }),
  sdkHealthPeriodMs: setting(
    {
      flag: 'sdk-health-period',
      env: 'SPOTABLE_SDK_HEALTH_PERIOD',
      placeholder: 'TIME|none',
      help: 'expected interval of Health() calls',
    },
    orNone(duration({ minMs: 100 })),
    5000,
    '5s',
  ),
  sdkHealthThreshold: setting(
    {
      flag: 'sdk-health-threshold',
      env: 'SPOTABLE_SDK_HEALTH_THRESHOLD',
      placeholder: 'COUNT',
      help: 'unhealthy after this many periods without Health()',
    },
    integer(1, 1000),
    3,
  ),
  sdkHealthDelayMs: setting(
    {
      flag: 'sdk-health-delay',
      env: 'SPOTABLE_SDK_HEALTH_DELAY',
      placeholder: 'TIME',
      help: 'time before the first Health() period begins',
    },
    duration(),
    5000,
    '5s',
  ),
  sdkCounters: repeated(
    {
      flag: 'sdk-counter',
      env: 'SPOTABLE_SDK_COUNTERS',
      placeholder: 'NAME=COUNT/CAPACITY',
      help: "a counter, as in a GameServer's spec",
    },
    sdkCounter,
    [],
  ),
  sdkLists: repeated(
    {
      flag: 'sdk-list',
      env: 'SPOTABLE_SDK_LISTS',
      placeholder: 'NAME=CAPACITY[:VALUE,..]',
      help: "a list, as in a GameServer's spec",
    },
    sdkList,
    [],
  ),
  hideEnv: repeated(
    {
      flag: 'hide-env',
      env: 'SPOTABLE_HIDE_ENV',
      placeholder: 'NAME',
      help: 'environment variables to hide from the game',
    },
    text,
    ['MALLOC_ARENA_MAX', 'MALLOC_TRIM_THRESHOLD_', 'MALLOC_TOP_PAD_', 'NODE_COMPILE_CACHE'],
    'those of the image',
  ),
  podName: optional({ flag: 'pod-name', env: 'POD_NAME', help: "the pod's name" }, text),
  podNamespace: optional({ flag: 'pod-namespace', env: 'POD_NAMESPACE', help: "the pod's namespace" }, text),
  podUid: optional({ flag: 'pod-uid', env: 'POD_UID', help: "the pod's UID" }, text),
  nodeName: optional({ flag: 'node-name', env: 'NODE_NAME', help: "the node's name" }, text),
  nodeAddress: optional(
    { flag: 'node-address', env: 'NODE_ADDRESS', placeholder: 'HOST', help: "the node's own address (status.hostIP)" },
    address,
  ),
};
