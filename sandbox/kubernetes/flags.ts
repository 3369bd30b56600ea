import { parseArgs } from 'node:util';
import { parseDuration } from '../../shared/duration.ts';
import type { RateLimit } from './http/rate-limit.ts';

export type ApiServerFlags =
  | { kind: 'help' }
  | { kind: 'problem'; message: string }
  | {
      kind: 'run';
      port: number;
      latencyMs: number;
      rateLimit: RateLimit | undefined;
      /** Path for the kubeconfig. */
      kubeconfigFile: string | undefined;
      exitsWithParent: boolean;
    };

export const apiServerHelp = `Usage: node sandbox/kubernetes/main.ts [FLAG...]

A Kubernetes API server on 127.0.0.1, with the controllers that need no kubelet. Everyone is an administrator.

  --port PORT            port to listen on (default: a free one)
  --latency DURATION     how long each call waits before it is looked at, such as 20ms (default 0s)
  --rate-limit RATE      calls a second and burst, such as 5/10; beyond it calls are answered 429 (default: none)
  --kubeconfig-out FILE  write a kubeconfig for it
  --exit-with-parent     end when standard input closes
  --help                 show this text

While it runs:
  GET|POST|DELETE /sandbox/faults[/ID]   how requests fail
  GET /sandbox/requests                  the last 10,000 requests
  DELETE /sandbox/history                forget all changes: watches resumed from before get 410

Ends on SIGTERM and SIGINT. Exit status: 0; 64 for a bad flag; 69 when the port or the file cannot be had.
`;

const flags = {
  port: { type: 'string' },
  latency: { type: 'string' },
  'rate-limit': { type: 'string' },
  'kubeconfig-out': { type: 'string' },
  'exit-with-parent': { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** Parses the command line. Never throws: an error comes back as one line. */
export function parseApiServerFlags(argv: readonly string[]): ApiServerFlags {
  try {
    const { values } = parseArgs({ args: [...argv], options: flags });
    if (values.help) return { kind: 'help' };
    return {
      kind: 'run',
      port: portOf(values.port),
      latencyMs: latencyOf(values.latency),
      rateLimit: rateLimitOf(values['rate-limit']),
      kubeconfigFile: values['kubeconfig-out'],
      exitsWithParent: values['exit-with-parent'] ?? false,
    };
  } catch (error) {
    // Node adds advice on positional arguments, which this command does not take.
    const [sentence = ''] = String(error instanceof Error ? error.message : error).split(/\. |\n/);
    return { kind: 'problem', message: `${sentence} (see --help)` };
  }
}

function portOf(text = '0'): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new TypeError(`Bad --port ${JSON.stringify(text)}: expected 0 to 65535`);
}

function latencyOf(text = '0s'): number {
  const parsed = parseDuration(text);
  if (parsed !== undefined) return parsed;
  throw new TypeError(`Bad --latency ${JSON.stringify(text)}: expected a duration such as 20ms`);
}

function rateLimitOf(text: string | undefined): RateLimit | undefined {
  if (text === undefined) return undefined;
  const [, rate, burst] = /^(\d+(?:\.\d+)?)\/([1-9]\d*)$/.exec(text) ?? [];
  if (Number(rate) > 0) return { callsPerSecond: Number(rate), burst: Number(burst) };
  throw new TypeError(`Bad --rate-limit ${JSON.stringify(text)}: expected calls a second and burst, such as 5/10`);
}
