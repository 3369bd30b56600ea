import { isIPv4 } from 'node:net';
import { parseArgs } from 'node:util';
import { parseDuration } from '../../shared/duration.ts';
import { exampleInstance, type InstanceDescription, regionOfZone } from './metadata-tree.ts';
import type { Notices } from './notices.ts';

export interface ScheduledNotice {
  action: Notices['spot']['action'];
  /** Time from the start of the service to the announcement. */
  afterMs: number;
  /** Time from the announcement to the instant that it names. */
  noticeMs: number;
}

export type MetadataFlags =
  | { kind: 'help' }
  | { kind: 'problem'; message: string }
  | {
      kind: 'run';
      port: number;
      instance: Partial<InstanceDescription>;
      notice: ScheduledNotice | undefined;
      exitsWithParent: boolean;
    };

export const metadataHelp: string = `Usage: node sandbox/metadata/main.ts [FLAG...]

An EC2 instance metadata service (version 2) on 127.0.0.1, to be told what it announces.

  --port PORT              port to listen on (default: a free one)
  --instance-id ID         (default ${exampleInstance.instanceId})
  --instance-type TYPE     (default ${exampleInstance.instanceType})
  --zone ZONE              availability zone, which names the region too (default ${exampleInstance.zone})
  --life-cycle WORD        spot or on-demand (default ${exampleInstance.lifeCycle})
  --private-ip ADDRESS     (default ${exampleInstance.privateIp})
  --public-ip ADDRESS      (default: none, a private instance)
  --public-hostname NAME   (default: made of the public address)
  --notice-in DURATION     announce a spot interruption after this long, such as 10s
  --notice DURATION        how long before its time it is announced (default 120s)
  --action WORD            terminate, stop or hibernate (default terminate); without --notice-in: announce at once
  --exit-with-parent       end when standard input closes
  --help                   show this text

While it runs:
  GET|PUT|DELETE /sandbox/notices/{spot,rebalance,maintenance,asg}   the document to show, as JSON
  GET|POST|DELETE /sandbox/faults[/ID]                               how requests fail

Ends on SIGTERM and SIGINT. Exit status: 0; 64 for a bad flag; 69 when the port cannot be had.
`;

const flags = {
  port: { type: 'string' },
  'instance-id': { type: 'string' },
  'instance-type': { type: 'string' },
  zone: { type: 'string' },
  'life-cycle': { type: 'string' },
  'private-ip': { type: 'string' },
  'public-ip': { type: 'string' },
  'public-hostname': { type: 'string' },
  'notice-in': { type: 'string' },
  notice: { type: 'string' },
  action: { type: 'string' },
  'exit-with-parent': { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof flags }>>['values'];

/** Parses the command line. Never throws: an error is returned as one line. */
export function parseMetadataFlags(argv: readonly string[]): MetadataFlags {
  try {
    const { values } = parseArgs({ args: [...argv], options: flags });
    if (values.help) return { kind: 'help' };
    return {
      kind: 'run',
      port: portOf(values.port),
      instance: instanceOf(values),
      notice: noticeOf(values),
      exitsWithParent: values['exit-with-parent'] ?? false,
    };
  } catch (error) {
    // Node appends advice about positional arguments, which this command does not accept.
    const [sentence = ''] = String(error instanceof Error ? error.message : error).split(/\. |\n/);
    return { kind: 'problem', message: `${sentence} (see --help)` };
  }
}

function portOf(text = '0'): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new TypeError(`Bad --port ${JSON.stringify(text)}: expected 0 to 65535`);
}

function instanceOf(values: Values): Partial<InstanceDescription> {
  const name = /^[\w.:-]{1,255}$/;
  const instanceId = checked(values, 'instance-id', 'a name such as i-0123456789abcdef0', (text) => name.test(text));
  const instanceType = checked(values, 'instance-type', 'a name such as c6i.large', (text) => name.test(text));
  const zone = checked(values, 'zone', 'a zone such as eu-west-1a', (text) => regionOfZone(text) !== undefined);
  const lifeCycle = lifeCycleOf(values['life-cycle']);
  const privateIp = checked(values, 'private-ip', 'an IPv4 address', isIPv4);
  const publicIp = checked(values, 'public-ip', 'an IPv4 address', isIPv4);
  const publicHostname = checked(values, 'public-hostname', 'a host name', (text) => name.test(text));
  return {
    ...(instanceId && { instanceId }),
    ...(instanceType && { instanceType }),
    ...(zone && { zone }),
    ...(lifeCycle && { lifeCycle }),
    ...(privateIp && { privateIp }),
    ...(publicIp && { publicIp }),
    ...(publicHostname && { publicHostname }),
  };
}

function noticeOf({ 'notice-in': noticeIn, notice, action }: Values): ScheduledNotice | undefined {
  const words = ['terminate', 'stop', 'hibernate'] as const;
  const word = words.find((candidate) => candidate === (action ?? 'terminate'));
  if (word === undefined) throw expected('action', action, 'terminate, stop or hibernate');
  const scheduled = {
    action: word,
    afterMs: durationOf('notice-in', noticeIn ?? '0s'),
    noticeMs: durationOf('notice', notice ?? '120s'),
  };
  const isAsked = noticeIn !== undefined || notice !== undefined || action !== undefined;
  return isAsked ? scheduled : undefined;
}

function durationOf(flag: string, text: string): number {
  const durationMs = parseDuration(text);
  // A day: longer than any notice, and within a timer's range.
  if (durationMs === undefined || durationMs > 86_400_000)
    throw expected(flag, text, 'a duration such as 500ms, 5s or 2m');
  return durationMs;
}

function lifeCycleOf(text: string | undefined): InstanceDescription['lifeCycle'] | undefined {
  if (text === undefined || text === 'spot' || text === 'on-demand') return text;
  throw expected('life-cycle', text, 'spot or on-demand');
}

function checked(
  values: Values,
  flag: keyof Values,
  expectation: string,
  isRight: (text: string) => boolean,
): string | undefined {
  const text = values[flag];
  if (text === undefined) return undefined;
  if (typeof text === 'string' && isRight(text)) return text;
  throw expected(flag, text, expectation);
}

function expected(flag: string, value: unknown, expectation: string): TypeError {
  return new TypeError(`Bad --${flag} ${JSON.stringify(value)}: expected ${expectation}`);
}
