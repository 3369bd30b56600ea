import { isIP } from 'node:net';
import type { Level } from '../shared/log.ts';
import {
  duration,
  httpUrl,
  integer,
  oneOf,
  optional,
  type Parse,
  repeated,
  type Setting,
  setting,
  text,
  toggle,
} from '../shared/settings/setting.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from './endpoint.ts';
import { type Probe, parseProbe } from './sources/health-probe.ts';

/** Settings of one session group: one match behind one public port. */
export interface FanoutSettings {
  readonly listen: Endpoint;
  readonly upstreams: readonly Endpoint[];
  readonly dnsIntervalMs: number;
  readonly inventoryUrl: URL | undefined;
  readonly inventoryIntervalMs: number;
  readonly podSelector: string | undefined;
  readonly podNamespace: string;
  readonly portName: string;
  readonly upstreamAddresses: readonly string[];
  readonly missedReplies: number;
  readonly minSilenceMs: number;
  readonly leaveBeforeDeadlineMs: number | undefined;
  readonly requiresSync: boolean;
  readonly handoverMs: number;
  readonly probe: Probe | undefined;
  readonly probeIntervalMs: number;
  readonly sessionIdleMs: number;
  readonly unconfirmedIdleMs: number;
  readonly maxSessions: number;
  readonly maxSessionsPerSource: number;
  readonly sessionRate: number;
  readonly sourceRate: number;
  readonly totalRate: number;
  readonly amplification: number;
  readonly transport: 'auto' | 'native' | 'dgram';
  readonly addon: string | undefined;
  readonly muteAbove: number;
  readonly gsoMaxBytes: number;
  readonly workers: number;
  readonly operations: Endpoint;
  readonly tcpHealth: Endpoint | undefined;
  readonly drainMs: number;
  readonly top: boolean;
  readonly logLevel: Level;
}

const endpoint: Parse<Endpoint> = (value) => parseEndpoint(value);
const ipAddress: Parse<string> = (value) => (isIP(value) === 0 ? { expected: 'an IP address' } : { value });
const listenEndpoint: Parse<Endpoint> = (value) => parseEndpoint(value, 0);
const number = (flag: string, env: string, help: string, fallback: number, min: number, max: number): Setting<number> =>
  setting({ flag, env, help, placeholder: 'N' }, integer(min, max), fallback);
const time = (
  flag: string,
  env: string,
  help: string,
  fallback: string,
  bounds: { minMs?: number; maxMs?: number } = {},
): Setting<number> => {
  const parse = duration(bounds);
  const parsed = parse(fallback);
  return setting({ flag, env, help, placeholder: 'TIME' }, parse, 'value' in parsed ? parsed.value : 0, fallback);
};

const defaultListen: Endpoint = { host: '0.0.0.0', port: 7777 };

export const fanoutSettings: { readonly [K in keyof FanoutSettings]: Setting<FanoutSettings[K]> } = {
  listen: setting(
    {
      flag: 'listen',
      env: 'LISTEN',
      help: 'public UDP address; [::]:PORT also accepts IPv4',
      placeholder: 'HOST:PORT',
    },
    listenEndpoint,
    defaultListen,
    formatEndpoint(defaultListen),
  ),
  upstreams: repeated(
    {
      flag: 'upstream',
      env: 'UPSTREAMS',
      help: 'a replica; every address of a DNS name is one',
      placeholder: 'HOST:PORT',
    },
    endpoint,
    [],
  ),
  dnsIntervalMs: time('dns-interval', 'DNS_INTERVAL', 'interval of name lookups', '5s', { minMs: 100 }),
  inventoryUrl: optional(
    {
      flag: 'inventory-url',
      env: 'INVENTORY_URL',
      help: "reads replicas from the inventory reader's /game-servers",
      placeholder: 'URL',
    },
    httpUrl,
  ),
  inventoryIntervalMs: time('inventory-interval', 'INVENTORY_INTERVAL', 'interval of inventory polls', '1s', {
    minMs: 50,
  }),
  podSelector: optional(
    {
      flag: 'pod-selector',
      env: 'POD_SELECTOR',
      help: 'label selector of the Kubernetes pods that are replicas',
      placeholder: 'K=V,...',
    },
    text,
  ),
  podNamespace: setting(
    { flag: 'pod-namespace', env: 'POD_NAMESPACE', help: 'namespace of these pods', placeholder: 'NAME' },
    text,
    'default',
  ),
  portName: setting(
    {
      flag: 'port-name',
      env: 'PORT_NAME',
      help: "name of the game's UDP port in inventory and pods",
      placeholder: 'NAME',
    },
    text,
    'SERVER_PORT',
  ),
  upstreamAddresses: repeated(
    {
      flag: 'upstream-address',
      env: 'UPSTREAM_ADDRESS',
      help: 'local address of upstream sockets; repeat it for more source ports',
      placeholder: 'IP',
    },
    ipAddress,
    [],
  ),
  missedReplies: number(
    'missed-replies',
    'MISSED_REPLIES',
    'consecutive missing replies before a replica counts as silent',
    3,
    1,
    100,
  ),
  minSilenceMs: time('min-silence', 'MIN_SILENCE', 'minimum silence before the primary changes', '200ms', {
    minMs: 50,
  }),
  leaveBeforeDeadlineMs: optional(
    {
      flag: 'leave-before-deadline',
      env: 'LEAVE_BEFORE_DEADLINE',
      help: 'replace a terminating primary this long before its deadline instead of at once',
      placeholder: 'TIME',
    },
    duration(),
  ),
  requiresSync: toggle({
    flag: 'require-sync',
    env: 'REQUIRE_SYNC',
    help: 'only a replica that reports itself in sync may be primary',
  }),
  handoverMs: time('handover', 'HANDOVER', 'maximum duration of a change of primary for one player', '100ms', {
    maxMs: 5000,
  }),
  probe: optional(
    {
      flag: 'probe',
      env: 'PROBE',
      help: 'health probe of replicas: tcp, tcp:PORT, http:PORT/PATH or udp:HEX',
      placeholder: 'PROBE',
    },
    parseProbe,
  ),
  probeIntervalMs: time('probe-interval', 'PROBE_INTERVAL', 'interval of health probes', '1s', { minMs: 20 }),
  sessionIdleMs: time(
    'session-idle',
    'SESSION_IDLE',
    'a session expires after this time without a datagram of its player',
    '60s',
    { minMs: 100 },
  ),
  unconfirmedIdleMs: time(
    'unconfirmed-idle',
    'UNCONFIRMED_IDLE',
    'the same for a session whose source address is not yet confirmed',
    '3s',
    {
      minMs: 100,
    },
  ),
  maxSessions: number('max-sessions', 'MAX_SESSIONS', 'maximum number of sessions per worker', 10_000, 1, 1_000_000),
  maxSessionsPerSource: number(
    'max-sessions-per-source',
    'MAX_SESSIONS_PER_SOURCE',
    'maximum number of sessions per IPv4 address or IPv6 /64',
    64,
    1,
    1_000_000,
  ),
  sessionRate: number(
    'session-rate',
    'SESSION_RATE',
    'new sessions per second and worker; 0: no limit',
    500,
    0,
    1_000_000,
  ),
  sourceRate: number('source-rate', 'SOURCE_RATE', 'datagrams per second and source; 0: no limit', 2000, 0, 10_000_000),
  totalRate: number('total-rate', 'TOTAL_RATE', 'datagrams per second and worker; 0: no limit', 0, 0, 100_000_000),
  amplification: number(
    'amplification',
    'AMPLIFICATION',
    'bytes sent to an unconfirmed player, as a multiple of those received; 0: no limit',
    3,
    0,
    1000,
  ),
  transport: setting(
    {
      flag: 'transport',
      env: 'FANOUT_TRANSPORT',
      help: 'auto, native or dgram; auto uses native if its addon can be loaded',
      placeholder: 'TRANSPORT',
    },
    oneOf(['auto', 'native', 'dgram']),
    'auto',
  ),
  addon: optional(
    {
      flag: 'addon',
      env: 'FANOUT_ADDON',
      help: 'file of the native transport; default: fanout.node next to the program',
      placeholder: 'FILE',
    },
    text,
  ),
  muteAbove: number(
    'mute-above',
    'MUTE_ABOVE',
    "copies per second above which the kernel drops spares' replies; 0: never",
    20_000,
    0,
    100_000_000,
  ),
  gsoMaxBytes: number(
    'gso-max-bytes',
    'GSO_MAX_BYTES',
    'maximum size of datagrams sent in GSO batches (native transport); 0: no batches',
    1200,
    0,
    9000,
  ),
  workers: number('workers', 'WORKERS', 'number of threads that share the port', 1, 1, 64),
  operations: setting(
    {
      flag: 'operations',
      env: 'OPERATIONS',
      help: 'HTTP address of /livez, /readyz, /metrics and /status',
      placeholder: 'HOST:PORT',
    },
    listenEndpoint,
    { host: '127.0.0.1', port: 9779 },
    '127.0.0.1:9779',
  ),
  tcpHealth: optional(
    {
      flag: 'tcp-health',
      env: 'TCP_HEALTH',
      help: 'TCP address that is open while ready, for load balancer health checks',
      placeholder: 'HOST:PORT',
    },
    listenEndpoint,
  ),
  drainMs: time('drain', 'DRAIN', 'maximum time to serve existing sessions after SIGTERM', '110s'),
  top: toggle({ flag: 'top', help: 'print live counters on stdout' }),
  logLevel: setting(
    { flag: 'log-level', env: 'LOG_LEVEL', help: 'debug, info, warn or error', placeholder: 'LEVEL' },
    oneOf(['debug', 'info', 'warn', 'error']),
    'info',
  ),
};
