import { dropReasons } from '../relay/counters.ts';
import { type Figures, sum } from './prometheus.ts';

export interface TopRates {
  readonly datagramsIn: number;
  readonly datagramsOut: number;
  readonly copies: number;
}

/** The figures of one moment as lines for a terminal; rates are a second. */
export function formatTop({ workers, replicas, changes, isReady, isDraining }: Figures, rates: TopRates): string {
  const state = isDraining ? 'draining' : isReady ? 'ready' : 'no replica is ready';
  const count = (value: number) => Math.round(value).toLocaleString('en-US');
  const lines = [
    `spotable-fanout  ${state}  sessions ${count(sum(workers, 'sessions'))} (${count(sum(workers, 'youngSessions'))} young)  workers ${workers.length}`,
    `in ${count(rates.datagramsIn)}/s  to replicas ${count(rates.copies)}/s  answers ${count(rates.datagramsOut)}/s`,
    '',
    'REPLICA                         ENDPOINT                    ROLE     STATE     SENT           REPLIES',
  ];
  for (const { id, endpoint, role, condition, readiness, sends, replies } of replicas) {
    const shown = readiness === 'ready' ? condition : readiness;
    lines.push(
      `${id.slice(0, 31).padEnd(32)}${endpoint.padEnd(28)}${role.padEnd(9)}${shown.padEnd(10)}${count(sends).padEnd(15)}${count(replies)}`,
    );
  }
  const changed = [...changes].map(([reason, times]) => `${reason} ${times}`).join(', ');
  const drops = dropReasons
    .map((reason) => [reason, workers.reduce((total, counters) => total + counters.dropped(reason), 0)] as const)
    .filter(([, dropped]) => dropped > 0)
    .map(([reason, dropped]) => `${reason} ${count(dropped)}`);
  lines.push('', `primary changes: ${changed || 'none'}`, `drops: ${drops.join(', ') || 'none'}`);
  return `${lines.join('\n')}\n`;
}

export interface Terminal {
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
}

const periodMs = 1000;

/** Writes the figures every second: over each other on a terminal, one after the other elsewhere. Returns what ends it. */
export function startTop(figures: () => Figures, { write, isTerminal }: Terminal): () => void {
  let before = figuresOf(figures());
  const timer = setInterval(() => {
    const now = figures();
    const after = figuresOf(now);
    const perSecond = (name: keyof TopRates) => (after[name] - before[name]) / (periodMs / 1000);
    const rates = {
      datagramsIn: perSecond('datagramsIn'),
      datagramsOut: perSecond('datagramsOut'),
      copies: perSecond('copies'),
    };
    // Home, then clear what is below: clearing first would flicker.
    write(`${isTerminal ? '\u001b[H\u001b[J' : ''}${formatTop(now, rates)}`);
    before = after;
  }, periodMs);
  return () => clearInterval(timer);
}

function figuresOf({ workers }: Figures): TopRates {
  return {
    datagramsIn: sum(workers, 'datagramsIn'),
    datagramsOut: sum(workers, 'datagramsOut'),
    copies: sum(workers, 'datagramsUpstream'),
  };
}
