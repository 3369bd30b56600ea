import type { Mutant } from '../mutant.ts';

const follow = 'test/integration/shared/follow-list.test.ts';
const connection = 'test/integration/shared/kube-connection.test.ts';
const sqs = 'test/integration/shared/sqs-answers.test.ts';
const followList = 'shared/kubernetes/follow-list.ts';
const kubeConnection = 'shared/kubernetes/kube-connection.ts';

export const sharedMutants: readonly Mutant[] = [
  {
    claim: 'a watch whose place is gone (410) lists again',
    file: followList,
    from: 'if (isExpired || this.#pause.failures + 1 >= maxWatchFailures) this.#resourceVersion = undefined;',
    to: 'if (this.#pause.failures + 1 >= 1000) this.#resourceVersion = undefined;',
    test: { file: follow, name: 'lists again where the place in the history is gone' },
  },
  {
    claim: 'a watch that fails for ever lists again',
    file: followList,
    from: 'if (isExpired || this.#pause.failures + 1 >= maxWatchFailures) this.#resourceVersion = undefined;',
    to: 'if (isExpired) this.#resourceVersion = undefined;',
    test: { file: follow, name: 'lists again where a watch fails for ever' },
  },
  {
    claim: 'an answer that is no list is not taken for an empty one',
    file: followList,
    from: "if (!Array.isArray(items) || typeof metadata?.resourceVersion !== 'string')",
    to: 'if (false as boolean)',
    test: { file: follow, name: 'takes what is no list for no list, and says each cause once' },
  },
  {
    claim: 'a server that ends each watch at once is asked ever more seldom',
    file: followList,
    from: 'if (this.#pause.failed() > 1 || this.#isFailing) await this.#pause.wait(signal);',
    to: '',
    test: { file: follow, name: 'asks a server that ends each watch at once ever more seldom' },
  },
  {
    claim: 'a bookmark that says nothing new does not start the backoff anew',
    file: followList,
    from: 'if (resourceVersion !== undefined && resourceVersion !== this.#resourceVersion) this.#progressed();',
    to: 'this.#progressed();',
    test: { file: follow, name: 'asks a server that ends each watch after the same bookmark ever more seldom' },
  },
  {
    claim: 'a list older than the watch does not replace it',
    file: followList,
    from: 'if (!this.#shows(list) && !this.#isAhead(list)) {',
    to: 'if (!this.#shows(list)) {',
    test: { file: follow, name: 'does not go back to a list that is older than its watch' },
  },
  {
    claim: 'the API server is spoken to by HTTP/1.1, each call with a time limit',
    file: kubeConnection,
    from: 'using until = new Until(signal, timeoutMs);',
    to: 'using until = new Until(signal, 2 ** 30);',
    test: { file: connection, name: 'makes another connection after a dead one has cost a call' },
  },
  {
    claim: 'a call that is given up takes its connection with it',
    file: 'shared/http/send-request.ts',
    from: '    abandon(outgoing, reason);\n',
    to: '',
    test: { file: connection, name: 'ends at once when its caller leaves, connection included' },
  },
  {
    claim: 'a token that is refused is read again',
    file: kubeConnection,
    from: 'if (answer.status !== 401 || !(await this.#credentials.reload())) return answer;',
    to: 'return answer;',
    test: { file: connection, name: 'reads the token again as soon as the server refuses it' },
  },
  {
    claim: 'a certificate of another authority makes us read ours again',
    file: kubeConnection,
    from: 'if (signal.aborted || !needsReload(error) || !(await this.#credentials.reload())) throw error;',
    to: 'throw error;',
    test: {
      file: connection,
      name: 'reads the authority again as soon as the server has a certificate of another one',
    },
  },
  {
    claim: 'a server that shows no sign of life gets no more time',
    file: kubeConnection,
    from: 'if (this.#lastSignOfLifeMs > startMs) limit.exceeded(limitMs);',
    to: 'limit.exceeded(limitMs);',
    test: { file: connection, name: 'gives no more time to a server that shows no sign of life' },
  },
  {
    claim: 'the queue has a region of its own',
    file: 'shared/events/sqs-inventory.ts',
    from: 'const signingRegion = regionOf(queueUrl) ?? region;',
    to: 'const signingRegion = region;',
    test: {
      file: sqs,
      name: 'requests to … are signed for …, in a pod whose AWS_REGION is us-east-2',
    },
  },
  {
    claim: 'waits grow with each failure',
    file: 'shared/retry.ts',
    from: 'firstMs * 2 ** Math.min(failures - 1, 20)',
    to: 'firstMs',
    test: {
      file: 'test/unit/shared/retry.test.ts',
      name: 'the longest wait doubles with each failure up to the limit, and the shortest is half of it',
    },
  },
  {
    claim: 'progress starts the pauses and attempts of a retry anew',
    file: 'shared/retry.ts',
    from: 'return await attempt(() => pause.progressed());',
    to: 'return await attempt(() => {});',
    test: {
      file: 'test/unit/shared/retry.test.ts',
      name: 'progress gives it all its attempts and the first pause again',
    },
  },
  {
    claim: 'the bound on connections spares upgraded ones',
    file: 'shared/http/http-server.ts',
    from: "server.on('upgrade', ({ socket }) => waiting.delete(peerOf(socket)));",
    to: '',
    test: {
      file: 'test/integration/shared/http-server.test.ts',
      name: 'leaves a connection alone that was upgraded',
    },
  },
  {
    claim: 'a line has a bound',
    file: 'shared/link/line-decoder.ts',
    from: 'if (length > this.#limitBytes) throw new LineTooLongError(this.#limitBytes);',
    to: '',
    test: {
      file: 'test/unit/shared/line-decoder.test.ts',
      name: 'a line that is too long … is refused',
    },
  },
];
