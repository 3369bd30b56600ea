import type { PlayerReport } from '../game/player.ts';
import type { Happening } from './happening.ts';

/** How a line is written: with colours on a terminal, plainly elsewhere. */
export type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string;

export const plain: Paint = (_style, text) => text;

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export const coloured: Paint = (style, text) => `\x1b[${codes[style]}m${text}\x1b[0m`;

const subjectWidth = 30;

/** One line of the story: when, about whom, what. */
export function describe(happening: Happening, originMs: number, paint: Paint): string {
  const [subject, text] = sentence(happening, paint);
  const seconds = (happening.atMs - originMs) / 1000;
  const time = `${seconds < 0 ? '-' : '+'}${Math.abs(seconds).toFixed(3)}s`;
  return `${paint('dim', time.padStart(10))}  ${subject.padEnd(subjectWidth)} ${text}`;
}

function sentence(happening: Happening, paint: Paint): readonly [string, string] {
  switch (happening.kind) {
    case 'notice-announced':
      return ['EC2', paint('yellow', `spot notice: the instance is taken in ${secondsLeft(happening)}`)];
    case 'rehearsal-asked':
      return [happening.node, paint('yellow', `annotated: rehearse an interruption in ${secondsLeft(happening)}`)];
    case 'api-down':
      return ['Kubernetes API', paint('red', 'out of reach')];
    case 'notice-seen':
      return [`agent on ${happening.node}`, paint('bold', 'has seen the notice')];
    case 'wrappers-told':
      return ['agent', `told ${happening.told} wrappers over the link`];
    case 'node-cordoned':
      return [happening.node, 'cordoned and tainted'];
    case 'node-drained':
      return [happening.node, paint('green', 'drained: no pod of a player is left')];
    case 'node-uncordoned':
      return [happening.node, paint('green', 'given back: cordon, taint and annotation are gone')];
    case 'primary-changed':
      return ['fan-out', paint('cyan', `${happening.replica} answers the players now`)];
    case 'players-report':
      return ['players', playersSentence(happening.report)];
    case 'budget-refused':
      return [happening.pod, paint('yellow', `budget refuses the eviction: ${happening.reason}`)];
    case 'pod-asked':
      return [happening.pod, askedSentence(happening.how, happening.graceSeconds, paint)];
    case 'game-ready':
      return [happening.pod, paint('green', 'game is ready for players')];
    case 'game-told':
      return [happening.pod, paint('cyan', `game told to end (${happening.how})`)];
    case 'game-said':
      return [happening.pod, paint('dim', `says: ${happening.line.slice(0, 90)}`)];
    case 'game-killed':
      return [happening.pod, paint('red', 'game killed at the last safe moment')];
    case 'game-ended':
      return [happening.pod, `game ended with ${happening.exitCode}`];
    case 'pod-gone':
      return [happening.pod, paint('dim', 'pod gone')];
    case 'instance-taken':
      return [happening.node, paint('yellow', 'instance taken by EC2')];
  }
}

function playersSentence({ sent, answered, lost, maxGapMs }: PlayerReport): string {
  return `${answered} of ${sent} moves answered, ${lost} lost, longest silence ${maxGapMs} ms`;
}

function secondsLeft({ atMs, deadlineMs }: { readonly atMs: number; readonly deadlineMs: number }): string {
  return `${((deadlineMs - atMs) / 1000).toFixed(1)} s`;
}

function askedSentence(how: string, graceSeconds: number, paint: Paint): string {
  if (how === 'evicted') return `pod evicted, with ${graceSeconds} s to end`;
  if (how === 'deleted-budget')
    return paint('yellow', `pod deleted, budget or not: only its grace of ${graceSeconds} s is left`);
  return `pod deleted (${how.replace('deleted-', '')}), with ${graceSeconds} s to end`;
}
