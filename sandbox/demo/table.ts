import type { GameServerRow } from '../../inventory/fold/rows.ts';

const columns: ReadonlyArray<readonly [string, (row: GameServerRow) => string]> = [
  ['GAME SERVER', (row) => row.game_server_id],
  ['STATUS', (row) => row.status],
  ['NODE', (row) => row.node ?? '-'],
  ['ADDRESS', (row) => `${row.public_hostname ?? row.public_ip ?? '-'}:${row.public_port ?? '-'}`],
  ['REASON', (row) => row.reason ?? '-'],
  ['EXIT', (row) => (row.exit_code === null ? '-' : String(row.exit_code))],
];

/** The inventory as text, one game server per line. */
export function inventoryTable(rows: readonly GameServerRow[]): string {
  const cells = [...rows]
    .sort((a, b) => (a.node ?? '').localeCompare(b.node ?? '') || a.game_server_id.localeCompare(b.game_server_id))
    .map((row) => columns.map(([, read]) => read(row)));
  const lines = [columns.map(([title]) => title), ...cells];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) => `  ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}
