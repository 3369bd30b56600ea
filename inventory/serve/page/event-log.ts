import { shortNodeName } from '../../short-node-name.ts';
import type { LogEntry } from './connection.ts';
import { element } from './elements.ts';

const maxLines = 200;

/** The events, newest first. A storm brings thousands a second, so only those that stay visible are rendered. */
export class EventLog {
  readonly #list: HTMLElement;
  #waiting: LogEntry[] = [];

  constructor(list: HTMLElement) {
    this.#list = list;
  }

  replace(entries: readonly LogEntry[]): void {
    this.#list.replaceChildren();
    this.#waiting = [...entries];
    this.draw();
  }

  add(entry: LogEntry): void {
    this.#waiting.push(entry);
    if (this.#waiting.length > 2 * maxLines) this.#waiting = this.#waiting.slice(-maxLines);
  }

  /** Called once per frame. */
  draw(): void {
    if (this.#waiting.length === 0) return;
    const lines = this.#waiting.slice(-maxLines).map(line).reverse();
    this.#waiting = [];
    this.#list.prepend(...lines);
    while (this.#list.childElementCount > maxLines) this.#list.lastElementChild?.remove();
  }
}

function line({ at, subject, id, before, after, node, reason, deadline }: LogEntry): HTMLElement {
  const isNode = subject === 'node';
  const what = before === null ? after : `${before} → ${after}`;
  const until = deadline === null ? '' : `by ${clockTime(deadline)}`;
  const why = [isNode || node === null ? '' : `on ${shortNodeName(node)}`, reason ?? '', until]
    .filter(Boolean)
    .join(', ');
  return element(
    'li',
    {},
    element('time', { datetime: at }, clockTime(at)),
    element(
      'span',
      {},
      element('span', isNode ? { class: 'is-node' } : {}, `${isNode ? shortNodeName(id) : id} ${what}`),
      element('span', { class: 'why' }, why === '' ? '' : ` ${why}`),
    ),
  );
}

function clockTime(instant: string): string {
  return new Date(instant).toLocaleTimeString(undefined, { hour12: false });
}
