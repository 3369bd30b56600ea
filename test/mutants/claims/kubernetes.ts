import type { Mutant } from '../mutant.ts';

const connection = 'test/integration/shared/kube-connection.test.ts';
const followedList = 'test/integration/shared/follow-list.test.ts';
const keeper = 'test/unit/agent/node-keeper.test.ts';

export const kubernetesMutants: readonly Mutant[] = [
  {
    claim: 'a call that is given up is never sent, not even by the kernel',
    file: 'shared/http/connections.ts',
    from: 'raw.resetAndDestroy();',
    to: 'raw.destroy();',
    test: { file: connection, name: 'sends nothing of what was given up while the network was away' },
  },
  {
    claim: 'a refused token is read again at once',
    file: 'shared/kubernetes/kube-connection.ts',
    from: 'answer.status !== 401 ||',
    to: 'true ||',
    test: { file: connection, name: 'reads the token again as soon as the server refuses it' },
  },
  {
    claim: 'a dead kept connection costs no time limit of a call',
    file: 'shared/kubernetes/kube-connection.ts',
    from: 'if (isKept && isRepeatable) this.#limitKept(outgoing, giveUp);',
    to: 'if (isKept && isRepeatable) {}',
    test: {
      file: connection,
      name: 'repeats at once on a new connection what a kept one does not answer, where that does no harm',
    },
  },
  {
    claim: 'a server that is slow and alive gets more time',
    file: 'shared/kubernetes/kube-connection.ts',
    from: 'limit.exceeded(limitMs);',
    to: ';',
    test: { file: connection, name: 'gives a server more time that is there and needs longer' },
  },
  {
    claim: 'a watch that ends at once is not asked for in a hot loop',
    file: 'shared/kubernetes/follow-list.ts',
    from: 'if (this.#pause.failed() > 1 || this.#isFailing)',
    to: 'if (this.#pause.failed() > Infinity)',
    test: { file: followedList, name: 'asks a server that ends each watch at once ever more seldom' },
  },
  {
    claim: 'a watch that fails for ever is replaced by lists',
    file: 'shared/kubernetes/follow-list.ts',
    from: 'const maxWatchFailures = 3;',
    to: 'const maxWatchFailures = Infinity;',
    test: { file: followedList, name: 'lists again where a watch fails for ever' },
  },
  {
    claim: 'a node that answers every patch with a conflict is not patched in a hot loop',
    file: 'agent/node-state/node-keeper.ts',
    from: 'if (++conflicts > maxQuickConflicts)',
    to: 'if (++conflicts > Infinity)',
    test: {
      file: keeper,
      name: 'asks a server that … ever more seldom, and says why once',
    },
  },
];
