import type { Mutant } from '../mutant.ts';

const life = 'test/unit/wrapper/lifecycle.test.ts';
const ports = 'test/unit/wrapper/lease-ports.test.ts';
const lifecycle = 'wrapper/life/lifecycle.ts';
const endPlan = 'wrapper/life/end-plan.ts';

export const wrapperMutants: readonly Mutant[] = [
  {
    claim: 'the kill comes a reserve before the end',
    file: endPlan,
    from: 'const killReserveMs = 1000;',
    to: 'const killReserveMs = 0;',
    test: {
      file: life,
      name: 'told of an interruption announces it, stops the game at once and kills it one second before the end',
    },
  },
  {
    claim: 'a game that learns of its end too late still has two seconds',
    file: endPlan,
    from: 'const minStopMs = 2000;',
    to: 'const minStopMs = 0;',
    test: { file: life, name: 'told after the deadline still gives its game two seconds' },
  },
  {
    claim: 'the sooner of two ends counts',
    file: endPlan,
    from: 'return known.length === 0 ? undefined : Math.min(...known);',
    to: 'return known.length === 0 ? undefined : Math.max(...known);',
    test: { file: life, name: 'with two interruptions goes by the sooner one' },
  },
  {
    claim: 'a repeated notice replaces its first form',
    file: endPlan,
    from: '...causes.filter(({ id }) => id !== cause.id), cause',
    to: '...causes, cause',
    test: { file: life, name: 'told that the same interruption comes later moves its kill back' },
  },
  {
    claim: 'the reason names the interruption, not the signal that follows from it',
    file: endPlan,
    from: '(interruption ?? signal ?? causes[0])',
    to: '(signal ?? interruption ?? causes[0])',
    test: { file: life, name: 'names the interruption rather than the signal that followed from it' },
  },
  {
    claim: 'a game that has been told ends even if the interruption is cancelled',
    file: lifecycle,
    from: 'if (causes.length === life.causes.length || life.isTold) return { life, effects: [] };',
    to: 'if (causes.length === life.causes.length) return { life, effects: [] };',
    test: { file: life, name: 'whose interruption is cancelled after its game was told ends all the same' },
  },
  {
    claim: 'the SIGTERM of a drain does not press a game whose end is known',
    file: lifecycle,
    from: "const isPressing = signals > 1 && (reason === 'sigint' || !isInterrupted);",
    to: 'const isPressing = signals > 1;',
    test: { file: life, name: 'that is interrupted keeps its end when SIGTERM follows, once and again' },
  },
  {
    claim: 'an interruption that is known at the start holds the game',
    file: lifecycle,
    from: 'if (life.causes.length > 0) return { life, effects: holding(life.causes, before) };',
    to: '',
    test: {
      file: life,
      name: 'told before its game was started holds it, and starts it when the interruption is cancelled',
    },
  },
  {
    claim: 'a game is told to stop once',
    file: lifecycle,
    from: 'const isStopDue = !life.isTold && nowMs >= stopAtMs(life, rules.stopLeadMs);',
    to: 'const isStopDue = nowMs >= stopAtMs(life, rules.stopLeadMs);',
    test: { file: life, name: 'told of a sooner end moves the kill forward and says so' },
  },
  {
    claim: 'a game is killed at most once',
    file: lifecycle,
    from: 'if (life.isKilled) return { life, effects: [] };',
    to: '',
    test: { file: life, name: 'the game is started once, killed at most once, and terminated is the last word' },
  },
  {
    claim: 'a status is published only when it changes',
    file: lifecycle,
    from: "status === statusOf(before) ? [] : [{ kind: 'publish', event: status }]",
    to: "[{ kind: 'publish', event: status }]",
    test: { file: life, name: 'each status is published only when it changes' },
  },
  {
    claim: 'an unhealthy game server does not count as ready',
    file: lifecycle,
    from: "if (!life.isReady || life.problem !== undefined) return 'starting';",
    to: "if (!life.isReady) return 'starting';",
    test: { file: life, name: 'that falls ill is not ready until it is well again' },
  },
  {
    claim: 'a leased port is probed before it is used',
    file: 'wrapper/ports/lease-ports.ts',
    from: "if (lease !== undefined && (await probe(port, 'udp+tcp')) === 'free') continue;",
    to: 'if (lease !== undefined) continue;',
    test: { file: ports, name: 'passes over ports that are in use, and gives their leases back' },
  },
  {
    claim: 'the leases of a run that does not hold are given back',
    file: 'wrapper/ports/lease-ports.ts',
    from: '    await giveBack();\n',
    to: '',
    test: { file: ports, name: 'passes over ports that are in use, and gives their leases back' },
  },
  {
    claim: 'a failed start keeps no lease',
    file: 'wrapper/ports/lease-ports.ts',
    from: '    await release();\n    throw error;',
    to: '    throw error;',
    test: { file: ports, name: 'fails with one clear line when the range is exhausted, and keeps nothing' },
  },
  {
    claim: 'a run of ports ends within the range',
    file: 'wrapper/ports/lease-ports.ts',
    from: 'if (first + count - 1 > range.last) continue;',
    to: '',
    test: { file: ports, name: 'says so where the free ports do not follow each other' },
  },
];
