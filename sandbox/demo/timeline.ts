import type { PlayerReport } from '../game/player.ts';
import type { DemoEvent } from './demo-event.ts';

/** Styles text: with colours on a terminal, plainly elsewhere. */
export type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string;

export const plain: Paint = (_style, text) => text;

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export const coloured: Paint = (style, text) => `\x1b[${codes[style]}m${text}\x1b[0m`;

const subjectWidth = 30;

/** One output line: time, subject, event. */
export function describe(demoEvent: DemoEvent, originMs: number, paint: Paint): string {
  const [subject, text] = sentence(demoEvent, paint);
  const seconds = (demoEvent.atMs - originMs) / 1000;
  const time = `${seconds < 0 ? '-' : '+'}${Math.abs(seconds).toFixed(3)}s`;
  return `${paint('dim', time.padStart(10))}  ${subject.padEnd(subjectWidth)} ${text}`;
}

function sentence(demoEvent: DemoEvent, paint: Paint): readonly [string, string] {
  switch (demoEvent.kind) {
    case 'notice-announced':
      return ['EC2', paint('yellow', `spot notice: the instance is taken in ${secondsLeft(demoEvent)}`)];
    case 'rehearsal-asked':
      return [demoEvent.node, paint('yellow', `annotated: rehearse an interruption in ${secondsLeft(demoEvent)}`)];
    case 'api-down':
      return ['Kubernetes API', paint('red', 'out of reach')];
    case 'notice-seen':
      return [`agent on ${demoEvent.node}`, paint('bold', 'has seen the notice')];
    case 'wrappers-told':
      return ['agent', `told ${demoEvent.told} wrappers over the link`];
    case 'node-cordoned':
      return [demoEvent.node, 'cordoned and tainted'];
    case 'node-drained':
      return [demoEvent.node, paint('green', 'drained: no pod of a player is left')];
    case 'node-uncordoned':
      return [demoEvent.node, paint('green', 'given back: cordon, taint and annotation are gone')];
    case 'primary-changed':
      return ['fan-out', paint('cyan', `${demoEvent.replica} answers the players now`)];
    case 'players-report':
      return ['players', playersSentence(demoEvent.report)];
    case 'budget-refused':
      return [demoEvent.pod, paint('yellow', `budget refuses the eviction: ${demoEvent.reason}`)];
    case 'pod-asked':
      return [demoEvent.pod, askedSentence(demoEvent.how, demoEvent.graceSeconds, paint)];
    case 'game-ready':
      return [demoEvent.pod, paint('green', 'game is ready for players')];
    case 'game-told':
      return [demoEvent.pod, paint('cyan', `game told to end (${demoEvent.how})`)];
    case 'game-said':
      return [demoEvent.pod, paint('dim', `says: ${demoEvent.line.slice(0, 90)}`)];
    case 'game-killed':
      return [demoEvent.pod, paint('red', 'game killed at the last safe moment')];
    case 'game-ended':
      return [demoEvent.pod, `game ended with ${demoEvent.exitCode}`];
    case 'pod-gone':
      return [demoEvent.pod, paint('dim', 'pod gone')];
    case 'instance-taken':
      return [demoEvent.node, paint('yellow', 'instance taken by EC2')];
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
