import { parseArgs } from 'node:util';
import type { KubeletOptions } from './kubelet.ts';
import type { DelayRange } from './pod-worker.ts';

export const usage: string = `Usage: node sandbox/kubelet/main.ts --server URL --node NAME [FLAG...]

Runs the pods of one node as processes of this machine. Writes one JSON line per event to stdout.

  --server URL              API server, http only; or
  --kubeconfig FILE         API server and credentials
  --node NAME               name of the node
  --token TOKEN             for the server of --server
  --root DIR                directory for pods and logs; without it a temporary one, removed at the end
  --address IP              of the node and its pods (127.0.0.1)
  --label KEY=VALUE         of the node; repeatable
  --env KEY=VALUE           for every container of the node, as an image's own environment is; repeatable
  --max-pods N              (110)
  --start-delay DURATION    before a pod's first start, as if its image had to be fetched (0ms)
  --restart-backoff DURATION  before the second restart of a container, doubled each time (10s)
  --pod-end-delay DURATION[..DURATION]  from the end of a pod's containers to its own, as real kubelets take 1500ms..4500ms (0ms)
  --exit-with-parent        a closed stdin acts as SIGUSR2
  --help

Signals: SIGTERM and SIGINT end all pods within 2 s, exit 0. SIGUSR2: the instance is taken, exit 137.
`;

export type Flags =
  | { kind: 'help' }
  | { kind: 'bad'; problems: string[] }
  | {
      kind: 'run';
      server: Server;
      options: FlagOptions;
      environment: Record<string, string>;
      root: string | undefined;
      exitWithParent: boolean;
    };

export type FlagOptions = Omit<KubeletOptions, 'root' | 'imageEnvironment' | 'imageDirectory' | 'tell' | 'credentials'>;

export type Server =
  | { readonly kind: 'url'; readonly url: string; readonly token: string | undefined }
  | { readonly kind: 'kubeconfig'; readonly file: string };

const flags = {
  server: { type: 'string' },
  kubeconfig: { type: 'string' },
  node: { type: 'string' },
  token: { type: 'string' },
  root: { type: 'string' },
  address: { type: 'string' },
  label: { type: 'string', multiple: true },
  env: { type: 'string', multiple: true },
  'max-pods': { type: 'string' },
  'start-delay': { type: 'string' },
  'restart-backoff': { type: 'string' },
  'pod-end-delay': { type: 'string' },
  'exit-with-parent': { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** Reports all problems at once. */
export function parseFlags(argv: readonly string[]): Flags {
  let values: ReturnType<typeof readFlags>;
  try {
    values = readFlags(argv);
  } catch (error) {
    // parseArgs adds advice about positionals after the first sentence, and this command takes none.
    return { kind: 'bad', problems: [error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error)] };
  }
  if (values.help) return { kind: 'help' };
  const problems: string[] = [];
  const server = parseServer(values, problems);
  const options: FlagOptions = {
    node: check('--node', values.node, problems, isName, 'a DNS name') ?? '',
    labels: parsePairs('--label', values.label ?? [], problems),
    ...(values.address === undefined ? {} : { address: values.address }),
    ...optional('maxPods', parseNumber('--max-pods', values['max-pods'], problems)),
    ...optional('startDelayMs', parseDuration('--start-delay', values['start-delay'], problems)),
    ...optional('restartBackoffMs', parseDuration('--restart-backoff', values['restart-backoff'], problems)),
    ...optional('podEndDelayMs', parseRange('--pod-end-delay', values['pod-end-delay'], problems)),
  };
  const environment = parsePairs('--env', values.env ?? [], problems);
  if (problems.length > 0) return { kind: 'bad', problems };
  const exitWithParent = values['exit-with-parent'] ?? false;
  return { kind: 'run', server, options, environment, root: values.root, exitWithParent };
}

function readFlags(argv: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof flags }>>['values'] {
  return parseArgs({ args: [...argv], options: flags }).values;
}

function parseServer({ server, token, kubeconfig }: ReturnType<typeof readFlags>, problems: string[]): Server {
  if (kubeconfig === undefined)
    return { kind: 'url', url: check('--server', server, problems, isHttpUrl, 'an http:// URL') ?? '', token };
  if (server !== undefined) problems.push(`--kubeconfig ${kubeconfig}: expected no --server beside it`);
  return { kind: 'kubeconfig', file: kubeconfig };
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

function parseRange(flag: string, value: string | undefined, problems: string[]): DelayRange | undefined {
  if (value === undefined) return undefined;
  const [least, most = least] = value.split('..');
  const min = parseDuration(flag, least, problems);
  const max = parseDuration(flag, most, problems);
  if (min === undefined || max === undefined) return undefined;
  if (min <= max) return { min, max };
  problems.push(`${flag} ${value}: expected the shorter duration first`);
  return undefined;
}

function optional<Name extends string, Value>(name: Name, value: Value | undefined): { [Key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]?: Value });
}
