import type { ReadStream, WriteStream } from 'node:tty';
import type { Change } from './fold/inventory-view.ts';
import type { GameServerRow, NodeRow } from './fold/rows.ts';
import { renderEntry, renderTable, type TableView } from './table/render-table.ts';
import { TableScreen } from './table/table-screen.ts';
import type { TimelineEntry } from './timeline.ts';

export interface Presenter {
  changed(changes: readonly Change[], entries: readonly TimelineEntry[]): void;
  /** Prints the final output after success: the table, or nothing if it was printed already. */
  end(): void;
  /** Restores the terminal, after success or failure. */
  close(): void;
}

export interface PresenterOptions {
  readonly output: WriteStream;
  readonly input: ReadStream;
  readonly isJson: boolean;
  readonly isOnce: boolean;
  readonly hasColor: boolean;
  readonly view: () => TableView;
  readonly now: () => number;
  readonly quit: () => void;
}

/**
 * JSON lines for `--json`; the live table on a terminal; otherwise one plain line per change. With `--once` only the
 * end.
 */
export function choosePresenter(options: PresenterOptions): Presenter {
  const { output, isJson, isOnce } = options;
  if (isJson) return jsonPresenter(options);
  if (isOnce) return { changed: () => {}, end: () => printTable(options), close: () => {} };
  if (output.isTTY) {
    const screen = new TableScreen(options);
    return { changed: () => {}, end: () => {}, close: () => screen.close() };
  }
  return {
    changed: (_, entries) => {
      for (const entry of entries) output.write(`${renderEntry(entry, { columns: 200 })}\n`);
    },
    end: () => printTable(options),
    close: () => {},
  };
}

function jsonPresenter({ output, isOnce, view, now }: PresenterOptions): Presenter {
  const line = (value: object): boolean => output.write(`${JSON.stringify(value)}\n`);
  const rowLines = (nodes: readonly NodeRow[], rows: readonly GameServerRow[]): void => {
    for (const row of nodes) line({ kind: 'node', row });
    for (const row of rows) line({ kind: 'game-server', row });
  };
  return {
    changed: (changes) => {
      if (!isOnce) for (const change of changes) line({ at: new Date(now()).toISOString(), ...change });
    },
    end: () => {
      if (isOnce) rowLines(view().nodes, view().rows);
    },
    close: () => {},
  };
}

function printTable({ output, hasColor, view, now }: PresenterOptions): void {
  const size = { columns: output.columns ?? 160, lines: Infinity, offset: 0, hasColor, nowMs: now() };
  output.write(
    `${renderTable({ ...view(), notice: '' }, size)
      .join('\n')
      .trimEnd()}\n`,
  );
}
