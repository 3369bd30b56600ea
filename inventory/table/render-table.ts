import type { GameServerState } from '../../shared/events/event.ts';
import type { GameServerRow, NodeRow } from '../fold/rows.ts';
import { shortNodeName } from '../short-node-name.ts';
import type { TimelineEntry } from '../timeline.ts';
import { fitText, safeText } from './safe-text.ts';

export interface TableView {
  readonly rows: readonly GameServerRow[];
  readonly nodes: readonly NodeRow[];
  /** Newest last. */
  readonly timeline: readonly TimelineEntry[];
  /** One line about the queue or the last problem. */
  readonly notice: string;
}

export interface TableSize {
  readonly columns: number;
  /** Infinity: print everything. */
  readonly lines: number;
  /** Number of rows to skip at the top. */
  readonly offset: number;
  readonly hasColor: boolean;
  readonly nowMs: number;
}

/** A shape beside each colour, for eyes and terminals without colours. In order of urgency. */
const looks: Readonly<Record<GameServerState, { readonly mark: string; readonly color: string }>> = {
  terminating: { mark: '▼', color: '33' },
  lost: { mark: '✕', color: '35' },
  allocated: { mark: '◆', color: '34' },
  ready: { mark: '●', color: '32' },
  starting: { mark: '○', color: '36' },
  terminated: { mark: '·', color: '90' },
};
const stateOrder = Object.keys(looks);

const titles = ['STATE', 'GAME SERVER', 'ADDRESS', 'PORTS', 'PLAYERS', 'NODE', 'LEFT', 'REASON'] as const;
const addressColumn = titles.indexOf('ADDRESS');

/** The lines of the table: counts, interrupted nodes, game servers, timeline. Pure. */
export function renderTable(view: TableView, size: TableSize): string[] {
  const head = [...renderCounts(view.rows, size), ...renderNodes(view.nodes, size)];
  // The timeline gets a third of the screen.
  const timelineLines = Number.isFinite(size.lines) ? Math.max(0, Math.floor((size.lines - head.length - 2) / 3)) : 20;
  const tail = renderTimeline(view.timeline, timelineLines, size);
  const room = size.lines - head.length - tail.length - 2;
  const sorted = sortRows(view.rows);
  const shown = sorted.slice(size.offset, size.offset + Math.max(1, room));
  const cells = shown.map((row) => rowCells(row, size.nowMs));
  const widths = columnWidths([titles, ...cells], size.columns);
  const title = paint(
    titles
      .map((text, index) => fitText(text, widths[index] ?? 0))
      .join(' ')
      .trimEnd(),
    '1',
    size.hasColor,
  );
  const body = shown.map((row, index) => renderRow(row.status, cells[index] ?? [], widths, size.hasColor));
  const left = sorted.length - size.offset - shown.length;
  const foot = left > 0 ? `${left} more below` : safeText(view.notice);
  return [...head, title, ...body, ...tail, fitText(foot, size.columns).trimEnd()];
}

/** By urgency, then by node and ID, so that a row stays where it is. */
function sortRows(rows: readonly GameServerRow[]): GameServerRow[] {
  return rows.toSorted(
    (one, other) =>
      stateOrder.indexOf(one.status) - stateOrder.indexOf(other.status) ||
      compareText(one.deadline ?? '', other.deadline ?? '') ||
      compareText(one.node ?? '', other.node ?? '') ||
      compareText(one.game_server_id, other.game_server_id),
  );
}

/** Compares code units: localeCompare takes a hundred times as long, which 20,000 rows a second would show. */
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

function renderNodes(nodes: readonly NodeRow[], { nowMs, hasColor, columns: width, lines }: TableSize): string[] {
  const troubled = nodes
    .filter(({ status }) => status !== 'recovered')
    .toSorted((one, other) => compareText(one.deadline ?? '~', other.deadline ?? '~'));
  // The game servers take precedence on a small terminal.
  const maxNodes = Math.min(5, Math.floor(lines / 5));
  const rendered = troubled.slice(0, maxNodes).map((node) => {
    const name = safeText(shortNodeName(node.node ?? node.key));
    const when = node.deadline === null ? '' : ` taken in ${timeLeft(node.deadline, nowMs)}`;
    const text = `▲ ${name} ${node.status}${when} (${safeText(node.kind)})`;
    return paint(fitText(text, width).trimEnd(), node.status === 'interrupted' ? '1;33' : '33', hasColor);
  });
  if (troubled.length > maxNodes) rendered.push(`  and ${troubled.length - maxNodes} more nodes`);
  return rendered.length > 0 ? [...rendered, ''] : [];
}

function rowCells(row: GameServerRow, nowMs: number): string[] {
  const ports = Object.values(row.ports).map(({ port, protocol }) => `${port}/${protocol}`);
  const host = row.public_hostname ?? row.public_ip ?? '-';
  return [
    `${looks[row.status].mark} ${row.status}`,
    row.game_server_id,
    row.public_port === null ? host : `${host}:${row.public_port}`,
    ports.join(' ') || '-',
    row.players === null ? '-' : String(row.players),
    shortNodeName(row.node ?? row.instance_id ?? '-'),
    row.deadline === null || row.status !== 'terminating' ? '' : timeLeft(row.deadline, nowMs),
    row.reason ?? '',
  ].map(safeText);
}

function renderRow(
  status: GameServerState,
  cells: readonly string[],
  widths: readonly number[],
  hasColor: boolean,
): string {
  const [state = '', ...rest] = cells.map((cell, index) => {
    const width = widths[index] ?? 0;
    // EC2's names are long, and only the port at their end distinguishes the game servers of a node.
    return index === addressColumn ? fitAddress(cell, width) : fitText(cell, width);
  });
  return `${paint(state, looks[status].color, hasColor)} ${rest.join(' ')}`.trimEnd();
}

function fitAddress(address: string, width: number): string {
  const colon = address.lastIndexOf(':');
  if ([...address].length <= width || colon < 0) return fitText(address, width);
  const port = address.slice(colon);
  return fitText(fitText(address.slice(0, colon), Math.max(1, width - port.length)) + port, width);
}

const narrowestColumn = 5;

/** Each column gets its longest cell's width, if all fit; otherwise the widest columns shrink first. */
function columnWidths(lines: readonly (readonly string[])[], width: number): number[] {
  const widths = titles.map((_, index) => Math.max(...lines.map((cells) => [...(cells[index] ?? '')].length)));
  for (let spare = width - widths.length + 1 - widths.reduce((sum, each) => sum + each, 0); spare < 0; spare++) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= narrowestColumn) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function renderTimeline(timeline: readonly TimelineEntry[], most: number, size: TableSize): string[] {
  const lines = most > 1 ? timeline.slice(-(most - 1)).map((entry) => renderEntry(entry, size)) : [];
  return lines.length > 0 ? ['', ...lines] : [];
}

/** `14:03:07 gs-7 ready -> terminating on node-1: spot-termination, by 14:05:05` */
export function renderEntry(entry: TimelineEntry, { columns: width }: Pick<TableSize, 'columns'>): string {
  const { atMs, subject, id, before, after, node, reason, deadline } = entry;
  const what = before === null ? after : `${before} -> ${after}`;
  const where = subject === 'game-server' && node !== null ? ` on ${shortNodeName(node)}` : '';
  const why = reason === null ? '' : `: ${reason}`;
  const until = deadline === null ? '' : `, by ${clockTime(Date.parse(deadline))}`;
  const name = subject === 'node' ? `node ${shortNodeName(id)}` : id;
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
