import type { Clock } from '../../shared/clock.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Shown } from './show.ts';

export interface ScreenOptions {
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  readonly isJson: boolean;
}

/** Redraw at most this often: a roll-out makes a dozen changes a second. */
const redrawMs = 250;
const clearScreen = '\x1b[H\x1b[2J\x1b[3J';

/** Draws at each change until the signal aborts: in a terminal over the old text, otherwise below it. */
export async function watchScreen(
  { view, clock, write, isTerminal, isJson }: ScreenOptions,
  show: () => Shown,
  signal: AbortSignal,
): Promise<void> {
  for (let told = ''; !signal.aborted; ) {
    const change = view.changed();
    const shown = show();
    const text = isJson ? `${JSON.stringify(shown.json)}\n` : `${shown.lines(clock.now()).join('\n')}\n`;
    if (text !== told) write(isTerminal && !isJson ? `${clearScreen}${text}` : text);
    told = text;
    await Promise.race([change, clock.sleep(isTerminal ? 1000 : 10_000, signal).catch(() => {})]);
    await clock.sleep(redrawMs, signal).catch(() => {});
  }
}
