import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { SettingsFor } from '../shared/settings/read-settings.ts';
import {
  duration,
  httpUrl,
  integer,
  oneOf,
  optional,
  type Parsed,
  required,
  setting,
  text,
  toggle,
} from '../shared/settings/setting.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface InventoryConfig {
  readonly queueUrl: URL;
  readonly region: string | undefined;
  readonly endpoint: URL | undefined;
  readonly state: string | undefined;
  readonly keepEndedMs: number;
  readonly pollers: number;
  readonly once: boolean;
  readonly json: boolean;
  readonly serve: ListenAddress | undefined;
  readonly color: 'auto' | 'always' | 'never';
}

export const inventorySettings: SettingsFor<InventoryConfig> = {
  queueUrl: required(
    { flag: 'queue-url', env: 'QUEUE_URL', placeholder: 'URL', help: 'SQS queue to read, standard or FIFO' },
    httpUrl,
  ),
  region: optional(
    { flag: 'region', env: 'AWS_REGION', help: "AWS region, if the queue's URL does not contain it" },
    text,
  ),
  endpoint: optional(
    {
      flag: 'endpoint',
      env: 'AWS_ENDPOINT_URL_SQS',
      placeholder: 'URL',
      help: 'SQS endpoint, for test services',
    },
    httpUrl,
  ),
  state: optional(
    {
      flag: 'state',
      env: 'INVENTORY_STATE',
      placeholder: 'FILE',
      help: 'SQLite file that survives a restart; :memory: for none (default: one per queue in $XDG_STATE_HOME/spotable)',
    },
    text,
  ),
  keepEndedMs: setting(
    {
      flag: 'keep-ended',
      env: 'KEEP_ENDED',
      placeholder: 'DURATION',
      help: 'how long ended game servers stay in the table',
    },
    duration({ minMs: 1000, maxMs: 14 * 86_400_000 }),
    600_000,
    '10m',
  ),
  pollers: setting(
    { flag: 'pollers', env: 'POLLERS', placeholder: 'N', help: 'maximum number of concurrent receive requests' },
    integer(1, 64),
    10,
  ),
  once: toggle({ flag: 'once', help: 'end when the queue is empty, and print the table' }),
  json: toggle({ flag: 'json', help: 'print one JSON object per line: each change, or with --once each row' }),
  serve: optional(
    {
      flag: 'serve',
      env: 'INVENTORY_SERVE',
      placeholder: '[HOST:]PORT',
      help: 'serve the HTTP API and the page; the host defaults to 127.0.0.1',
    },
    listenAddress,
  ),
  color: setting(
    { flag: 'color', placeholder: 'WHEN', help: 'colours in the table: auto, always or never' },
    oneOf(['auto', 'always', 'never']),
    'auto' as const,
  ),
};

export function listenAddress(value: string): Parsed<ListenAddress> {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[\w.-]+):)?(\d{1,5})$/.exec(value);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) return { expected: 'a port, or HOST:PORT' };
  return { value: { host: (match[1] ?? '127.0.0.1').replace(/^\[|\]$/g, ''), port } };
}

/**
 * One file per queue, in the folder for state that XDG defines: a reader started by hand survives its restart without
 * configuration.
 */
export function defaultStatePath(queueUrl: string, env: Readonly<Record<string, string | undefined>>): string {
  const stateHome = env['XDG_STATE_HOME'] || join(env['HOME'] || '.', '.local', 'state');
  const name =
    new URL(queueUrl).pathname
      .split('/')
      .at(-1)
      ?.replace(/[^\w.-]/g, '_') ?? '';
  const digest = createHash('sha256').update(queueUrl).digest('hex').slice(0, 8);
  return join(stateHome, 'spotable', `inventory-${name}-${digest}.sqlite`);
}
