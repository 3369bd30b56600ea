import { constants } from 'node:os';
import type { PlayerReport } from '../game/player.ts';

/** One thing that the demo observed from outside. Times are epoch milliseconds. */
export type DemoEvent = { readonly atMs: number } & (
  | { readonly kind: 'notice-announced'; readonly deadlineMs: number }
  | { readonly kind: 'api-down' }
  | { readonly kind: 'rehearsal-asked'; readonly node: string; readonly deadlineMs: number }
  | { readonly kind: 'notice-seen'; readonly node: string }
  | { readonly kind: 'wrappers-told'; readonly told: number }
  | { readonly kind: 'node-cordoned'; readonly node: string }
  | { readonly kind: 'node-drained'; readonly node: string }
  | { readonly kind: 'node-uncordoned'; readonly node: string }
  | { readonly kind: 'budget-refused'; readonly pod: string; readonly reason: string }
  | { readonly kind: 'pod-asked'; readonly pod: string; readonly how: string; readonly graceSeconds: number }
  | { readonly kind: 'game-ready'; readonly pod: string }
  | { readonly kind: 'game-told'; readonly pod: string; readonly how: string }
  | { readonly kind: 'game-said'; readonly pod: string; readonly line: string }
  | { readonly kind: 'game-killed'; readonly pod: string }
  | { readonly kind: 'game-ended'; readonly pod: string; readonly exitCode: number }
  | { readonly kind: 'pod-gone'; readonly pod: string }
  | { readonly kind: 'primary-changed'; readonly replica: string }
  | { readonly kind: 'players-report'; readonly report: PlayerReport }
  | { readonly kind: 'instance-taken'; readonly node: string }
);

/** A line of a kubelet's stdout. */
interface KubeletLine {
  readonly time: string | number;
  readonly event: string;
  readonly pod?: string;
  readonly stream?: string;
  readonly line?: string;
}

/** A line of an agent's or a wrapper's log. */
interface LogLine {
  readonly time?: number;
  readonly name?: string;
  readonly msg?: string;
  readonly exitCode?: unknown;
  readonly signal?: unknown;
  readonly [field: string]: unknown;
}

/**
 * Parses a line of a kubelet, with the output of agent, wrappers and games in it; undefined: the demo does not show it.
 */
export function readDemoEvent(text: string, node: string): DemoEvent | undefined {
  const happened = parseObject<KubeletLine>(text);
  if (happened?.pod === undefined) return undefined;
  const { pod, event, line = '' } = happened;
  const atMs = new Date(happened.time).getTime();
  if (event === 'pod-gone') return { kind: 'pod-gone', atMs, pod };
  if (event !== 'log') return undefined;
  const log = parseObject<LogLine>(line);
  if (log?.msg === undefined) return happened.stream === 'stdout' ? { kind: 'game-said', atMs, pod, line } : undefined;
  return log.name === 'agent'
    ? readAgentLine(log, log.time ?? atMs, node)
    : readWrapperLine(log, log.time ?? atMs, pod);
}

function readAgentLine(log: LogLine, atMs: number, node: string): DemoEvent | undefined {
  const pod = String(log['pod'] ?? '').replace(/^.*\//, '');
  switch (log.msg) {
    case 'Interruption noticed':
      return { kind: 'notice-seen', atMs, node };
    case 'Wrappers notified':
      return { kind: 'wrappers-told', atMs, told: Number(log['told']) };
    case 'Node cordoned':
      return { kind: 'node-cordoned', atMs, node };
    case 'Node uncordoned':
      return { kind: 'node-uncordoned', atMs, node };
    case 'Node drained':
      return { kind: 'node-drained', atMs, node };
    case 'Eviction refused by budget':
      return { kind: 'budget-refused', atMs, pod, reason: String(log['reason']) };
    case 'Pod termination requested':
      return { kind: 'pod-asked', atMs, pod, how: String(log['how']), graceSeconds: Number(log['gracePeriodSeconds']) };
    default:
      return undefined;
  }
}

function readWrapperLine(log: LogLine, atMs: number, pod: string): DemoEvent | undefined {
  switch (log.msg) {
    case 'Game ready':
      return { kind: 'game-ready', atMs, pod };
    case 'Game told':
      return log['first'] === true ? { kind: 'game-told', atMs, pod, how: String(log['how']) } : undefined;
    case 'Game killed':
      return { kind: 'game-killed', atMs, pod };
    case 'Game ended':
      return { kind: 'game-ended', atMs, pod, exitCode: exitCodeOf(log) };
    default:
      return undefined;
  }
}

/** As in a shell: 128+n after signal n. */
function exitCodeOf({ exitCode, signal }: LogLine): number {
  return typeof exitCode === 'number' ? exitCode : 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
}

function parseObject<Shape>(text: string): Shape | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Shape;
  } catch {
    return undefined;
  }
}
