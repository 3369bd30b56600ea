import { parseArgs } from 'node:util';
import type { KubeletOptions } from './kubelet.ts';

export const usage: string = `Usage: node sandbox/kubelet/main.ts --server URL --node NAME [FLAG...]

Runs the pods of one node as processes of this machine. One JSON line a happening on stdout.

  --server URL              API server, http only
  --node NAME               name of the node
  --token TOKEN             for the API server
  --root DIR                directory for pods and logs; without it a temporary one, removed at the end
  --address IP              of the node and its pods (127.0.0.1)
  --label KEY=VALUE         of the node; repeatable
  --env KEY=VALUE           for every container of the node, as an image's own environment is; repeatable
  --max-pods N              (110)
  --start-delay DURATION    before a pod's first start, as if its image had to be fetched (0ms)
  --restart-backoff DURATION  before the second restart of a container, doubled each time (10s)
  --exit-with-parent        a closed stdin acts as SIGUSR2
  --help

Signals: SIGTERM and SIGINT end all pods within 2 s, exit 0. SIGUSR2: the instance is taken, exit 137.
`;

export type Flags =
  | { kind: 'help' }
  | { kind: 'bad'; problems: string[] }
  | {
      kind: 'run';
      options: FlagOptions;
      environment: Record<string, string>;
      root: string | undefined;
      exitWithParent: boolean;
    };

export type FlagOptions = Omit<KubeletOptions, 'root' | 'imageEnvironment' | 'imageDirectory' | 'tell'>;

const flags = {
  server: { type: 'string' },
  node: { type: 'string' },
  token: { type: 'string' },
  root: { type: 'string' },
  address: { type: 'string' },
  label: { type: 'string', multiple: true },
  env: { type: 'string', multiple: true },
  'max-pods': { type: 'string' },
  'start-delay': { type: 'string' },
  'restart-backoff': { type: 'string' },
  'exit-with-parent': { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** Says all problems at once. */
export function parseFlags(argv: readonly string[]): Flags {
  let values: ReturnType<typeof readFlags>;
  try {
    values = readFlags(argv);
  } catch (error) {
    // parseArgs adds advice after the first sentence, about positionals that there are none of.
    return { kind: 'bad', problems: [error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error)] };
  }
  if (values.help) return { kind: 'help' };
  const problems: string[] = [];
  const options: FlagOptions = {
    server: check('--server', values.server, problems, isHttpUrl, 'an http:// URL') ?? '',
    node: check('--node', values.node, problems, isName, 'a DNS name') ?? '',
    labels: parsePairs('--label', values.label ?? [], problems),
    ...(values.token === undefined ? {} : { token: values.token }),
    ...(values.address === undefined ? {} : { address: values.address }),
    ...optional('maxPods', parseNumber('--max-pods', values['max-pods'], problems)),
    ...optional('startDelayMs', parseDuration('--start-delay', values['start-delay'], problems)),
    ...optional('restartBackoffMs', parseDuration('--restart-backoff', values['restart-backoff'], problems)),
  };
  const environment = parsePairs('--env', values.env ?? [], problems);
  if (problems.length > 0) return { kind: 'bad', problems };
  return { kind: 'run', options, environment, root: values.root, exitWithParent: values['exit-with-parent'] ?? false };
}

function readFlags(argv: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof flags }>>['values'] {
  return parseArgs({ args: [...argv], options: flags }).values;
}

function check(
  flag: string,
  value: string | undefined,
  problems: string[],
  isValid: (value: string) => boolean,
  expected: string,
): string | undefined {
  if (value !== undefined && isValid(value)) return value;
  problems.push(
    value === undefined ? `${flag} is missing: expected ${expected}` : `${flag} ${value}: expected ${expected}`,
  );
  return undefined;
}

function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && new URL(value).protocol === 'http:';
}

function isName(value: string): boolean {
  return value.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(value);
}

function parsePairs(flag: string, values: readonly string[], problems: string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const pair of values) {
    const at = pair.indexOf('=');
    if (at > 0) pairs[pair.slice(0, at)] = pair.slice(at + 1);
    else problems.push(`${flag} ${pair}: expected KEY=VALUE`);
  }
  return pairs;
}

function parseNumber(flag: string, value: string | undefined, problems: string[]): number | undefined {
  if (value === undefined) return undefined;
  if (/^[1-9]\d{0,5}$/.test(value)) return Number(value);
  problems.push(`${flag} ${value}: expected a number from 1 to 999999`);
  return undefined;
}

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000 };

function parseDuration(flag: string, value: string | undefined, problems: string[]): number | undefined {
  if (value === undefined) return undefined;
  const match = /^(\d{1,9})(ms|s|m)$/.exec(value);
  if (match !== null) return Number(match[1]) * (unitMs[match[2] ?? ''] ?? 0);
  problems.push(`${flag} ${value}: expected a duration such as 500ms, 5s or 2m`);
  return undefined;
}

function optional<Name extends string>(name: Name, value: number | undefined): { [Key in Name]?: number } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]?: number });
}
