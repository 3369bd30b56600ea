import { dropReasons } from '../relay/counters.ts';
import { type FanoutStats, sum, sumDropped } from './fanout-metrics.ts';

export interface TopRates {
  readonly datagramsIn: number;
  readonly datagramsOut: number;
  readonly copies: number;
}

/** Formats the stats for a terminal; rates are per second. */
export function formatTop({ workers, replicas, changes, isReady, isDraining }: FanoutStats, rates: TopRates): string {
  const state = isDraining ? 'draining' : isReady ? 'ready' : 'no replica is ready';
  const count = (value: number) => Math.round(value).toLocaleString('en-US');
  const lines = [
    `spotable-fanout  ${state}  sessions ${count(sum(workers, 'sessions'))} (${count(sum(workers, 'unconfirmedSessions'))} unconfirmed)  workers ${workers.length}`,
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
    .map((reason) => [reason, sumDropped(workers, reason)] as const)
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

/** Writes the stats every second, in place on a terminal. Returns the function that stops it. */
export function startTop(stats: () => FanoutStats, { write, isTerminal }: Terminal): () => void {
  let before = totalsOf(stats());
  const timer = setInterval(() => {
    const now = stats();
    const after = totalsOf(now);
    const perSecond = (name: keyof TopRates) => (after[name] - before[name]) / (periodMs / 1000);
    const rates = {
      datagramsIn: perSecond('datagramsIn'),
      datagramsOut: perSecond('datagramsOut'),
      copies: perSecond('copies'),
    };
    // Moves home before erasing: erasing first would flicker.
    write(`${isTerminal ? '\u001b[H\u001b[J' : ''}${formatTop(now, rates)}`);
    before = after;
  }, periodMs);
  return () => clearInterval(timer);
}

function totalsOf({ workers }: FanoutStats): TopRates {
  return {
    datagramsIn: sum(workers, 'datagramsIn'),
    datagramsOut: sum(workers, 'datagramsOut'),
    copies: sum(workers, 'datagramsUpstream'),
  };
}
