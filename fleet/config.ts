import type { Level } from '../shared/log.ts';
import type { SettingsFor } from '../shared/settings/read-settings.ts';
import {
  duration,
  integer,
  matching,
  oneOf,
  optional,
  type Parse,
  path,
  required,
  setting,
  toggle,
} from '../shared/settings/setting.ts';

export interface ServeConfig {
  readonly namespace: string;
  readonly identity: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly tlsDirectory: string | undefined;
  readonly clientCaDirectory: string | undefined;
  readonly disableMtls: boolean;
  readonly metricsPort: number;
  readonly allocationMs: number;
  readonly activationMs: number;
  readonly shutdownMs: number;
  readonly logLevel: Level;
}

/** A DNS label, as namespaces and most names are. */
export const objectName: Parse<string> = matching(
  /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
  'the name of a Kubernetes object',
);

const listenAddress: Parse<{ host: string; port: number }> = (value) => {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[\w.-]+):)?(\d{1,5})$/.exec(value);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) return { expected: 'a port, or HOST:PORT' };
  return { value: { host: (match[1] ?? '127.0.0.1').replace(/^\[|\]$/g, ''), port } };
};

export const serveSettings: SettingsFor<ServeConfig> = {
  namespace: required(
    { flag: 'namespace', env: 'NAMESPACE', placeholder: 'NAME', help: 'namespace of the fleets' },
    objectName,
  ),
  identity: required(
    { flag: 'identity', env: 'POD_NAME', placeholder: 'NAME', help: 'name of this replica, in the lease' },
    objectName,
  ),
  listen: setting(
    {
      flag: 'listen',
      env: 'LISTEN',
      placeholder: '[HOST:]PORT',
      help: 'where allocations are served; without a certificate only on loopback',
    },
    listenAddress,
    { host: '127.0.0.1', port: 8443 },
    '127.0.0.1:8443',
  ),
  tlsDirectory: optional(
    {
      flag: 'tls-dir',
      env: 'TLS_DIR',
      placeholder: 'DIR',
      help: 'holds tls.crt and tls.key, read again when they change',
    },
    path,
  ),
  clientCaDirectory: optional(
    {
      flag: 'client-ca-dir',
      env: 'CLIENT_CA_DIR',
      placeholder: 'DIR',
      help: 'its *.crt and *.pem sign the clients that may allocate',
    },
    path,
  ),
  disableMtls: toggle({ flag: 'disable-mtls', env: 'DISABLE_MTLS', help: 'serve clients without a certificate' }),
  metricsPort: setting(
    {
      flag: 'metrics-port',
      env: 'METRICS_PORT',
      placeholder: 'PORT',
      help: '/metrics, /livez and /readyz; 0 takes a free one',
    },
    integer(0, 65_535),
    9780,
  ),
  allocationMs: setting(
    {
      flag: 'allocation-timeout',
      env: 'ALLOCATION_TIMEOUT',
      placeholder: 'DURATION',
      help: 'from a request to its answer at most',
    },
    duration({ minMs: 100, maxMs: 60_000 }),
    10_000,
    '10s',
  ),
  activationMs: setting(
    {
      flag: 'activation-timeout',
      env: 'ACTIVATION_TIMEOUT',
      placeholder: 'DURATION',
      help: 'a game server that has not taken its session by then is given back',
    },
    duration({ minMs: 1000, maxMs: 3_600_000 }),
    60_000,
    '1m',
  ),
  shutdownMs: setting(
    {
      flag: 'shutdown-delay',
      env: 'SHUTDOWN_DELAY',
      placeholder: 'DURATION',
      help: 'served on after SIGTERM, until no Service sends requests here',
    },
    duration({ maxMs: 60_000 }),
    3000,
    '3s',
  ),
  logLevel: setting(
    { flag: 'log-level', env: 'LOG_LEVEL', placeholder: 'LEVEL', help: 'debug, info, warn or error' },
    oneOf(['debug', 'info', 'warn', 'error']),
    'info' as const,
  ),
};

/** Reports contradictions between settings. */
export function serveProblem({ tlsDirectory, clientCaDirectory, disableMtls }: ServeConfig): string | undefined {
  if (tlsDirectory !== undefined && clientCaDirectory === undefined && !disableMtls)
    return 'Missing --client-ca-dir or CLIENT_CA_DIR: with a certificate clients need one too, unless --disable-mtls is given';
  return undefined;
}
