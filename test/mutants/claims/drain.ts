import type { Mutant } from '../mutant.ts';

const plan = 'test/unit/agent/plan-drain.test.ts';
const parts = 'test/unit/agent/drain-parts.test.ts';
const proof = 'test/integration/agent/drain-proof.test.ts';
const troubles = 'test/integration/agent/drain-troubles.test.ts';

export const drainMutants: readonly Mutant[] = [
  {
    claim: 'drained is said only when a list shows it',
    file: 'agent/response.ts',
    from: 'signal.aborted || !isListed ||',
    to: 'signal.aborted ||',
    test: {
      file: proof,
      name: 'never while no list can be had: the report says that it is not known, and nothing is tainted out of service',
    },
  },
  {
    claim: 'a node that was never seen is not drained',
    file: 'agent/response.ts',
    from: 'return isSeen && run.left()?.length === 0;',
    to: 'return run.left()?.length === 0;',
    test: { file: proof, name: 'never where there is no node of that name' },
  },
  {
    claim: 'nothing is out of service while a pod runs that was to stay',
    file: 'agent/response.ts',
    from: 'return kept.length === 0;',
    to: 'return true;',
    test: {
      file: proof,
      name: 'and is not declared out of service while a pod that the drain leaves alone runs on it',
    },
  },
  {
    claim: 'a pod whose containers have ended is not alive at the deadline',
    file: 'agent/response.ts',
    from: 'if (pod.hasEnded || (pod',
    to: 'if ((pod',
    test: { file: proof, name: 'a pod whose containers have ended is not alive, though its end shows later' },
  },
  {
    claim: 'a node object that was created again is marked again',
    file: 'agent/response.ts',
    from: 'const isOther = node.uid !== this.#markedUid;',
    to: 'const isOther = false;',
    test: { file: troubles, name: 'is set again on a node object that was deleted and created again' },
  },
  {
    claim: 'a finished pod that a finalizer keeps is over',
    file: 'agent/drain/drain.ts',
    from: 'return isFinished && goneByMs !== undefined;',
    to: 'return false;',
    test: { file: proof, name: 'though a finalizer keeps a finished pod listed' },
  },
  {
    claim: 'a call without an answer is no refusal of a budget',
    file: 'agent/drain/plan-drain.ts',
    from: "if (refusals > 0) return 'budget';",
    to: "if (refusals + attempt.failures > 0) return 'budget';",
    test: { file: plan, name: 'asks a pod politely whose calls brought no answer, though only its grace is left' },
  },
  {
    claim: 'a pod that stays after an accepted eviction is deleted',
    file: 'agent/drain/plan-drain.ts',
    from: "if (isWithoutEffect(pod, attempt, nowMs)) return 'no-effect';",
    to: '',
    test: { file: plan, name: 'deletes a pod whose eviction was accepted without effect' },
  },
  {
    claim: 'no eviction goes before the cordon',
    file: 'agent/drain/plan-drain.ts',
    from: "if (isAwaitingCordon && step.kind === 'evict') continue;",
    to: '',
    test: { file: plan, name: 'evicts nobody before the cordon stands' },
  },
  {
    claim: 'a pod that alone is called too much slows no other',
    file: 'agent/drain/call-limit.ts',
    from: 'if (!isOfSeveral) return pauseMs;',
    to: '',
    test: { file: parts, name: 'lets one pod wait that alone is refused as too much, and no other' },
  },
  {
    claim: 'the last report leaves before the agent ends',
    file: 'agent/shut-down.ts',
    from: 'await whileTrue(isReporting, maxReportMs);',
    to: '',
    test: {
      file: troubles,
      name: 'at the end reaches the webhook, though the agent is asked to end in the midst of the drain',
    },
  },
  {
    claim: 'a rehearsal that was answered does not begin again',
    file: 'agent/interruption/rehearsal.ts',
    from: 'node?.rehearse === undefined || node.rehearse === spent',
    to: 'node?.rehearse === undefined',
    test: { file: troubles, name: 'of a rehearsal in a dry run is told once' },
  },
  {
    claim: 'a cordon stands though its annotation is too long',
    file: 'agent/node-state/node-keeper.ts',
    from: 'error.status !== 422',
    to: 'error.status !== 0',
    test: {
      file: troubles,
      name: 'is set without its annotation where the node takes no more of them, and taken off again',
    },
  },
  {
    claim: 'a mark of another version is taken off',
    file: 'agent/node-state/node-mark.ts',
    from: 'return readMark(node) === undefined && (node.annotation !== undefined || hasOwnTaint(node));',
    to: 'return false;',
    test: { file: troubles, name: 'of an agent of another version, whose mark cannot be read, is said and taken off' },
  },
];
