import type { GameServerState } from '../../shared/inventory/event.ts';
import type { GameServerRow, NodeRow } from '../fold/rows.ts';
import type { TimelineEntry } from '../timeline.ts';
import { fitText, safeText } from './safe-text.ts';

export interface TableView {
  readonly rows: readonly GameServerRow[];
  readonly nodes: readonly NodeRow[];
  /** Newest last. */
  readonly timeline: readonly TimelineEntry[];
  /** One line about the queue or the last trouble. */
  readonly notice: string;
}

export interface TableSize {
  readonly columns: number;
  /** Infinity prints everything. */
  readonly lines: number;
  /** Rows to leave out at the top. */
  readonly offset: number;
  readonly hasColor: boolean;
  readonly nowMs: number;
}

/** A shape beside each colour, for eyes and terminals without colours. Order: what needs a look comes first. */
const looks: Readonly<Record<GameServerState, { readonly mark: string; readonly color: string }>> = {
  terminating: { mark: '▼', color: '33' },
  lost: { mark: '✕', color: '35' },
  allocated: { mark: '◆', color: '34' },
  ready: { mark: '●', color: '32' },
  starting: { mark: '○', color: '36' },
  terminated: { mark: '·', color: '90' },
};
const stateOrder = Object.keys(looks);

const columns = [
  { title: 'STATE', least: 13, share: 0 },
  { title: 'GAME SERVER', least: 12, share: 3 },
  { title: 'ADDRESS', least: 15, share: 3 },
  { title: 'PORTS', least: 11, share: 2 },
  { title: 'PLAYERS', least: 7, share: 0 },
  { title: 'NODE', least: 10, share: 2 },
  { title: 'LEFT', least: 6, share: 0 },
  { title: 'REASON', least: 8, share: 1 },
] as const;

/** The lines of the table: counts, interrupted nodes, game servers, timeline. Pure. */
export function renderTable(view: TableView, size: TableSize): string[] {
  const head = [...renderCounts(view.rows, size), ...renderNodes(view.nodes, size)];
  const widths = columnWidths(size.columns);
  const title = paint(
    columns.map((column, index) => fitText(column.title, widths[index] ?? 0)).join(' '),
    '1',
    size.hasColor,
  );
  // The timeline gets a third of the screen, the table the rest.
  const timelineLines = Number.isFinite(size.lines) ? Math.max(0, Math.floor((size.lines - head.length - 2) / 3)) : 20;
  const tail = renderTimeline(view.timeline, timelineLines, size);
  const room = size.lines - head.length - tail.length - 2;
  const sorted = sortRows(view.rows);
  const shown = sorted.slice(size.offset, size.offset + Math.max(1, room));
  const body = shown.map((row) => renderRow(row, widths, size));
  const left = sorted.length - size.offset - shown.length;
  const foot = left > 0 ? `${left} more below` : safeText(view.notice);
  return [...head, title, ...body, ...tail, fitText(foot, size.columns).trimEnd()];
}

/** What needs a look first; among equals by node and id, so that a row stays where it is. */
function sortRows(rows: readonly GameServerRow[]): GameServerRow[] {
  return rows.toSorted(
    (one, other) =>
      stateOrder.indexOf(one.status) - stateOrder.indexOf(other.status) ||
      compareText(one.deadline ?? '', other.deadline ?? '') ||
      compareText(one.node ?? '', other.node ?? '') ||
      compareText(one.game_server_id, other.game_server_id),
  );
}

/** By code unit: localeCompare takes a hundred times as long, which 20,000 rows a second feel. */
function compareText(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

function renderCounts(rows: readonly GameServerRow[], { hasColor, columns: width }: TableSize): string[] {
  const counts = new Map<GameServerState, number>();
  for (const { status } of rows) counts.set(status, (counts.get(status) ?? 0) + 1);
  const parts = [...counts]
    .toSorted(([a], [b]) => stateOrder.indexOf(a) - stateOrder.indexOf(b))
    .map(([state, count]) => paint(`${looks[state].mark} ${count} ${state}`, looks[state].color, hasColor));
  const text = `${rows.length} game servers${parts.length > 0 ? '   ' : ''}${parts.join('   ')}`;
  return [hasColor ? text : fitText(text, width).trimEnd(), ''];
}

function renderNodes(nodes: readonly NodeRow[], { nowMs, hasColor, columns: width }: TableSize): string[] {
  const troubled = nodes
    .filter(({ status }) => status !== 'recovered')
    .toSorted((one, other) => compareText(one.deadline ?? '~', other.deadline ?? '~'));
  const mostNodes = 5;
  const lines = troubled.slice(0, mostNodes).map((node) => {
    const name = safeText(node.node ?? node.key);
    const when = node.deadline === null ? '' : ` taken in ${timeLeft(node.deadline, nowMs)}`;
    const text = `▲ ${name} ${node.status}${when} (${safeText(node.kind)})`;
    return paint(fitText(text, width).trimEnd(), node.status === 'interrupted' ? '1;33' : '33', hasColor);
  });
  if (troubled.length > mostNodes) lines.push(`  and ${troubled.length - mostNodes} more nodes`);
  return lines.length > 0 ? [...lines, ''] : [];
}

function renderRow(row: GameServerRow, widths: readonly number[], { hasColor, nowMs }: TableSize): string {
  const { mark, color } = looks[row.status];
  const ports = Object.entries(row.ports).map(([name, { port, protocol }]) => `${name} ${port}/${protocol}`);
  const address = row.public_hostname ?? row.public_ip ?? '-';
  const cells = [
    `${mark} ${row.status}`,
    row.game_server_id,
    row.public_port === null ? address : `${address}:${row.public_port}`,
    ports.join(' ') || '-',
    row.players === null ? '-' : String(row.players),
    row.node ?? row.instance_id ?? '-',
    row.deadline === null || row.status !== 'terminating' ? '' : timeLeft(row.deadline, nowMs),
    row.reason ?? '',
  ];
  const texts = cells.map((cell, index) => fitText(safeText(cell), widths[index] ?? 0));
  const [state = '', ...rest] = texts;
  return `${paint(state, color, hasColor)} ${rest.join(' ')}`.trimEnd();
}

/** Least widths first; what is left is shared out. */
function columnWidths(width: number): number[] {
  const least = columns.reduce((sum, column) => sum + column.least, columns.length - 1);
  const shares = columns.reduce((sum, column) => sum + column.share, 0);
  const spare = Math.max(0, Math.min(width, 200) - least);
  return columns.map((column) => column.least + Math.floor((spare * column.share) / shares));
}

function renderTimeline(timeline: readonly TimelineEntry[], most: number, size: TableSize): string[] {
  const lines = most > 1 ? timeline.slice(-(most - 1)).map((entry) => renderEntry(entry, size)) : [];
  return lines.length > 0 ? ['', ...lines] : [];
}

/** `14:03:07 gs-7 ready -> terminating on node-1: spot-termination, by 14:05:05` */
export function renderEntry(entry: TimelineEntry, { columns: width }: Pick<TableSize, 'columns'>): string {
  const { atMs, subject, id, before, after, node, reason, deadline } = entry;
  const what = before === null ? after : `${before} -> ${after}`;
  const where = subject === 'game-server' && node !== null ? ` on ${node}` : '';
  const why = reason === null ? '' : `: ${reason}`;
  const until = deadline === null ? '' : `, by ${clockTime(Date.parse(deadline))}`;
  const name = subject === 'node' ? `node ${id}` : id;
  return fitText(safeText(`${clockTime(atMs)} ${name} ${what}${where}${why}${until}`), width).trimEnd();
}

function clockTime(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(11, 19);
}

/** `1:43`, `0:00` when it is over, `2h` and more in hours. */
function timeLeft(deadline: string, nowMs: number): string {
  const seconds = Math.max(0, Math.ceil((Date.parse(deadline) - nowMs) / 1000));
  if (seconds >= 7200) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function paint(text: string, color: string, hasColor: boolean): string {
  return hasColor ? `\x1b[${color}m${text}\x1b[0m` : text;
}
