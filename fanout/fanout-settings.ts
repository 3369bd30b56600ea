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

/** What the fan-out proxy runs with: one session group, which is one match behind one public port. Durations end in Ms. */
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
  readonly youngIdleMs: number;
  readonly maxSessions: number;
  readonly maxSessionsPerSource: number;
  readonly sessionRate: number;
  readonly sourceRate: number;
  readonly totalRate: number;
  readonly amplification: number;
  readonly path: 'auto' | 'fast' | 'dgram';
  readonly addon: string | undefined;
  readonly deafenAbove: number;
  readonly trainBytes: number;
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

/** Every setting of the fan-out proxy. */
export const fanoutSettings: { readonly [K in keyof FanoutSettings]: Setting<FanoutSettings[K]> } = {
  listen: setting(
    { flag: 'listen', env: 'LISTEN', help: 'public UDP address; [::]:PORT takes IPv4 too', placeholder: 'HOST:PORT' },
    listenEndpoint,
    defaultListen,
    formatEndpoint(defaultListen),
  ),
  upstreams: repeated(
    {
      flag: 'upstream',
      env: 'UPSTREAMS',
      help: 'a replica; of a DNS name every address is one',
      placeholder: 'HOST:PORT',
    },
    endpoint,
    [],
  ),
  dnsIntervalMs: time('dns-interval', 'DNS_INTERVAL', 'how often names are looked up again', '5s', { minMs: 100 }),
  inventoryUrl: optional(
    {
      flag: 'inventory-url',
      env: 'INVENTORY_URL',
      help: "replicas from the inventory reader's /game-servers",
      placeholder: 'URL',
    },
    httpUrl,
  ),
  inventoryIntervalMs: time('inventory-interval', 'INVENTORY_INTERVAL', 'how often it is asked', '1s', { minMs: 50 }),
  podSelector: optional(
    {
      flag: 'pod-selector',
      env: 'POD_SELECTOR',
      help: 'replicas are the Kubernetes pods with these labels',
      placeholder: 'K=V,...',
    },
    text,
  ),
  podNamespace: setting(
    { flag: 'pod-namespace', env: 'POD_NAMESPACE', help: 'in this namespace', placeholder: 'NAME' },
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
      help: 'local address that replicas are reached from; of several, sessions take them in turn',
      placeholder: 'IP',
    },
    ipAddress,
    [],
  ),
  missedReplies: number(
    'missed-replies',
    'MISSED_REPLIES',
    'replies in a row that must be missing for a silence',
    3,
    1,
    100,
  ),
  minSilenceMs: time('min-silence', 'MIN_SILENCE', 'shorter silences never move the primary', '200ms', { minMs: 50 }),
  leaveBeforeDeadlineMs: optional(
    {
      flag: 'leave-before-deadline',
      env: 'LEAVE_BEFORE_DEADLINE',
      help: 'leave a terminating primary so long before its deadline, not at once',
      placeholder: 'TIME',
    },
    duration(),
  ),
  requiresSync: toggle({
    flag: 'require-sync',
    env: 'REQUIRE_SYNC',
    help: 'only a replica that says it is in sync may be primary',
  }),
  handoverMs: time('handover', 'HANDOVER', 'most time one player may be between two primaries', '100ms', {
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
  probeIntervalMs: time('probe-interval', 'PROBE_INTERVAL', 'time between two probes', '1s', { minMs: 20 }),
  sessionIdleMs: time(
    'session-idle',
    'SESSION_IDLE',
    'a session ends after so long without a datagram of its player',
    '60s',
    { minMs: 100 },
  ),
  youngIdleMs: time('young-idle', 'YOUNG_IDLE', 'the same before the address has shown that it is real', '3s', {
    minMs: 100,
  }),
  maxSessions: number('max-sessions', 'MAX_SESSIONS', 'sessions of one worker', 10_000, 1, 1_000_000),
  maxSessionsPerSource: number(
    'max-sessions-per-source',
    'MAX_SESSIONS_PER_SOURCE',
    'sessions of one IPv4 address or IPv6 /64',
    64,
    1,
    1_000_000,
  ),
  sessionRate: number(
    'session-rate',
    'SESSION_RATE',
    'new sessions a second of one worker; 0: no limit',
    500,
    0,
    1_000_000,
  ),
  sourceRate: number(
    'source-rate',
    'SOURCE_RATE',
    'datagrams a second of one source; 0: no limit',
    2000,
    0,
    10_000_000,
  ),
  totalRate: number('total-rate', 'TOTAL_RATE', 'datagrams a second of one worker; 0: no limit', 0, 0, 100_000_000),
  amplification: number(
    'amplification',
    'AMPLIFICATION',
    'bytes to an address before its session is established, as a multiple of its own; 0: no limit',
    3,
    0,
    1000,
  ),
  path: setting(
    {
      flag: 'path',
      env: 'FANOUT_PATH',
      help: 'auto takes the fast one where it can be loaded: auto, fast or dgram',
      placeholder: 'PATH',
    },
    oneOf(['auto', 'fast', 'dgram']),
    'auto',
  ),
  addon: optional(
    {
      flag: 'addon',
      env: 'FANOUT_ADDON',
      help: 'file of the fast path; otherwise fanout.node beside the program',
      placeholder: 'FILE',
    },
    text,
  ),
  deafenAbove: number(
    'deafen-above',
    'DEAFEN_ABOVE',
    "from so many copies a second on, spares' replies are dropped in the kernel; 0: never",
    20_000,
    0,
    100_000_000,
  ),
  trainBytes: number(
    'train-bytes',
    'TRAIN_BYTES',
    "a player's datagrams of one length, up to this, go through the kernel together (fast path); 0: none",
    1200,
    0,
    9000,
  ),
  workers: number('workers', 'WORKERS', 'threads that share the port', 1, 1, 64),
  operations: setting(
    {
      flag: 'operations',
      env: 'OPERATIONS',
      help: 'where /livez, /readyz, /metrics and /status are served',
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
      help: 'TCP port that is open while ready, for a load balancer',
      placeholder: 'HOST:PORT',
    },
    listenEndpoint,
  ),
  drainMs: time('drain', 'DRAIN', 'how long sessions are served after SIGTERM', '110s'),
  top: toggle({ flag: 'top', help: 'live counters on stdout' }),
  logLevel: setting(
    { flag: 'log-level', env: 'LOG_LEVEL', help: 'debug, info, warn or error', placeholder: 'LEVEL' },
    oneOf(['debug', 'info', 'warn', 'error']),
    'info',
  ),
};
