import type { Mutant } from '../mutant.ts';

const outbox = 'test/unit/shared/outbox.test.ts';

export const eventMutants: readonly Mutant[] = [
  {
    claim: 'an event waits once, however often it is added',
    file: 'shared/events/outbox.ts',
    from: 'if (this.#waiting.some(({ id }) => id === event.id)) return;',
    to: '',
    test: { file: outbox, name: 'an event that waits already is not added again' },
  },
  {
    claim: 'a heartbeat that is being sent is not dropped',
    file: 'shared/events/outbox.ts',
    from: 'isHeartbeat(other) && other.subject === event.subject && !this.#inFlight.has(other.id)',
    to: 'isHeartbeat(other) && other.subject === event.subject',
    test: { file: outbox, name: 'a heartbeat under way is left alone' },
  },
  {
    claim: 'the outbox has a bound',
    file: 'shared/events/outbox.ts',
    from: 'if (this.#waiting.length > this.#options.capacity)',
    to: 'if (this.#waiting.length > Infinity)',
    test: {
      file: outbox,
      name: 'a full outbox lets heartbeats go first, then what a newer event outdates, then the oldest',
    },
  },
  {
    claim: 'an event that is being sent is never dropped for room',
    file: 'shared/events/outbox.ts',
    from: 'const idle = this.#waiting.filter(({ id }) => !this.#inFlight.has(id));',
    to: 'const idle = this.#waiting;',
    test: {
      file: outbox,
      name: 'a full outbox never lets go of an event that is under way, which the queue may be taking',
    },
  },
  {
    claim: 'a batch holds one event of each game server, so that none overtakes an older one',
    file: 'shared/events/outbox.ts',
    from: 'if (!batch.has(event.subject)) batch.set(event.subject, event);',
    to: 'batch.set(event.id, event);',
    test: { file: outbox, name: 'a call that is taken in part lets no event overtake an older one of its server' },
  },
  {
    claim: 'an attempt to publish has a time limit',
    file: 'shared/events/outbox.ts',
    from: 'AbortSignal.any([signal, AbortSignal.timeout(attemptMs)])',
    to: 'signal',
    test: { file: outbox, name: 'an attempt without an answer is given up and made again' },
  },
  {
    claim: 'a flush does not wait out the pause after a failure',
    file: 'shared/events/outbox.ts',
    from: '    this.#pause.abort();\n',
    to: '',
    test: { file: outbox, name: 'a flush ends the pause after a failure and keeps the next ones short' },
  },
];
