import type { ReadStream, WriteStream } from 'node:tty';
import { renderTable, type TableView } from './render-table.ts';

export interface TableScreenOptions {
  readonly output: WriteStream;
  readonly input: ReadStream;
  readonly view: () => TableView;
  readonly now: () => number;
  readonly hasColor: boolean;
  readonly quit: () => void;
}

/** Often enough for a countdown to look alive; 20,000 rows cost a few percent of a core. */
const redrawEveryMs = 250;

const enterScreen = '\x1b[?1049h\x1b[?25l';
const leaveScreen = '\x1b[?25h\x1b[?1049l';
const clearRestOfLine = '\x1b[K';
const clearBelow = '\x1b[J';
const home = '\x1b[H';

/** The live table on the terminal's alternate screen, so that the earlier content returns when it closes. */
export class TableScreen {
  readonly #options: TableScreenOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #onKey = (key: Buffer): void => this.#press(key.toString('latin1'));
  readonly #onResize = (): void => this.#draw();
  #offset = 0;

  constructor(options: TableScreenOptions) {
    this.#options = options;
    const { input, output } = options;
    output.write(enterScreen);
    if (input.isTTY) input.setRawMode(true).on('data', this.#onKey);
    output.on('resize', this.#onResize);
    this.#timer = setInterval(() => this.#draw(), redrawEveryMs);
    this.#draw();
  }

  close(): void {
    const { input, output } = this.#options;
    clearInterval(this.#timer);
    output.off('resize', this.#onResize);
    if (input.isTTY) input.off('data', this.#onKey).setRawMode(false).pause();
    output.write(leaveScreen);
  }

  #draw(): void {
    const { output, view, now, hasColor } = this.#options;
    // A slow terminal gets the newest picture later, not every one.
    if (output.writableNeedDrain) return;
    const { columns, rows } = output;
    const current = view();
    this.#offset = Math.min(this.#offset, Math.max(0, current.rows.length - 1));
    const size = { columns, lines: rows, offset: this.#offset, hasColor, nowMs: now() };
    const lines = renderTable(current, size).slice(0, rows);
    output.write(`${home}${lines.map((line) => line + clearRestOfLine).join('\r\n')}${clearBelow}`);
  }

  #press(key: string): void {
    const page = Math.max(1, Math.floor(this.#options.output.rows / 2));
    switch (key) {
      case 'q':
      case '\x03':
        this.#options.quit();
        return;
      case '\x1b[A':
      case 'k':
        this.#offset -= 1;
        break;
      case '\x1b[B':
      case 'j':
        this.#offset += 1;
        break;
      case '\x1b[5~':
        this.#offset -= page;
        break;
      case '\x1b[6~':
      case ' ':
        this.#offset += page;
        break;
      case '\x1b[H':
      case 'g':
        this.#offset = 0;
        break;
    }
    this.#offset = Math.max(0, this.#offset);
    this.#draw();
  }
}
