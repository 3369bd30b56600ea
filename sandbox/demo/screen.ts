import type { DemoSummary } from './summary.ts';
import { coloured, type Paint, plain } from './timeline.ts';

/** The demo's output: a terminal gets colours and a status line at the bottom, a pipe gets plain lines. */
export interface Screen {
  readonly paint: Paint;
  line(text: string): void;
  note(text: string): void;
  section(title: string, body: string): void;
  /** Replaces the status line. */
  status(text: string): void;
  /** Prints the conclusion. What follows is only the clean-up of the sandbox and is not shown. */
  summary(summary: DemoSummary): void;
}

const clearLine = '\r\x1b[2K';

export function openScreen(write: (text: string) => void, isTerminal: boolean): Screen {
  const paint = isTerminal ? coloured : plain;
  let status = '';
  let isOver = false;
  const print = (text: string) => write(isTerminal ? `${clearLine}${text}\n${status}` : `${text}\n`);
  return {
    paint,
    line: (text) => {
      if (!isOver) print(text);
    },
    note: (text) => print(paint('dim', text)),
    section: (title, body) => print(`\n${paint('bold', title)}\n${body}\n`),
    status: (text) => {
      if (!isTerminal || text === status) return;
      status = paint('dim', text);
      write(`${clearLine}${status}`);
    },
    summary: (summary) => {
      status = '';
      isOver = true;
      print(`${paint('bold', 'Summary')}\n${summaryLines(summary).join('\n')}`);
      print(
        summary.ok
          ? paint('green', '\nEverything went as it should.')
          : paint('red', `\nNot as it should: ${summary.problems.join('; ')}.`),
      );
    },
  };
}

function summaryLines(summary: DemoSummary): readonly string[] {
  const ms = (value: number | null) => (value === null ? 'never' : `${value} ms`);
  const facts: Array<readonly [string, string]> = [
    ['games told', `${summary.games_told} of ${summary.gameServers}`],
    ['first told after', ms(summary.notice_seen_to_first_told_ms)],
    ['last told after', ms(summary.notice_seen_to_last_told_ms)],
    ['node cordoned after', ms(summary.notice_seen_to_cordon_ms)],
    ['ended cleanly', `${summary.games_exited_cleanly}`],
    ['killed', killedText(summary)],
    [
      'pods',
      `${summary.pods_evicted} evicted, ${summary.pods_deleted} deleted, ${summary.pods_left_at_deadline} left at the end`,
    ],
    ['replacements ready', `${summary.replacements_ready}`],
    [
      'inventory',
      `${summary.events_received} of ${summary.events_published} events received, ${summary.inventory_consistent ? 'true' : 'not true'}`,
    ],
  ];
  const { players_moves_sent: sent, players_moves_lost: lost, players_longest_silence_ms: silence } = summary;
  if (sent !== null) facts.push(['players', `${lost} of ${sent} moves lost, longest silence ${silence} ms`]);
  return facts.map(([name, value]) => `  ${name.padEnd(22)} ${value}`);
}

function killedText({ games_killed: killed, killed_before_deadline_ms: beforeMs }: DemoSummary): string {
  return killed === 0 ? '0' : `${killed}, ${((beforeMs ?? 0) / 1000).toFixed(1)} s before the deadline`;
}
