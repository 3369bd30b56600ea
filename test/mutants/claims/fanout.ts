import type { Mutant } from '../mutant.ts';

const table = 'test/unit/fanout/session-table.test.ts';
const election = 'test/unit/fanout/election.test.ts';

export const fanoutMutants: readonly Mutant[] = [
  {
    claim: 'a source has a limited number of sessions',
    file: 'fanout/relay/session-table.ts',
    from: "if ((this.#sources.get(sourceName)?.sessions ?? 0) >= maxSessionsPerSource) return 'source-sessions-full';",
    to: '',
    test: { file: table, name: 'a source has a limited number of sessions' },
  },
  {
    claim: 'unconfirmed sessions have a share of the table, not all of it',
    file: 'fanout/relay/session-table.ts',
    from: ' || this.#unconfirmed.size >= this.#maxUnconfirmed;',
    to: ';',
    test: { file: table, name: 'a flood of new addresses takes only the unconfirmed share, and evicts its own' },
  },
  {
    claim: 'a table full of confirmed players refuses new ones',
    file: 'fanout/relay/session-table.ts',
    from: "if (this.#entries.size >= maxSessions && this.#unconfirmed.size === 0) return 'sessions-full';",
    to: '',
    test: { file: table, name: 'a table full of confirmed players refuses new ones' },
  },
  {
    claim: 'new sessions are rate limited',
    file: 'fanout/relay/session-table.ts',
    from: "return take(this.#creation, creation, nowMs) ? undefined : 'session-rate';",
    to: 'return take(this.#creation, creation, nowMs) ? undefined : undefined;',
    test: { file: table, name: 'new sessions are rate limited' },
  },
  {
    claim: 'an address that sends once expires sooner than a player',
    file: 'fanout/relay/session-table.ts',
    from: '(isUnconfirmed ? this.#limits.unconfirmedIdleMs : this.#limits.idleMs)',
    to: 'this.#limits.idleMs',
    test: { file: table, name: 'an address that sends once expires soon, a confirmed player late' },
  },
  {
    claim: 'a source that sends too fast is limited',
    file: 'fanout/relay/session-table.ts',
    from: 'if (!take(entry.source.bucket, this.#limits.sourceRate, nowMs)) return false;',
    to: '',
    test: { file: table, name: 'a source that sends too fast is limited, others are not' },
  },
  {
    claim: 'expiry looks at a bounded number of sessions at a time',
    file: 'fanout/relay/session-table.ts',
    from: 'for (let looked = 0; looked < max; looked++) {',
    to: 'for (;;) {',
    test: { file: table, name: 'a large table is checked for expiry in slices' },
  },
  {
    claim: 'a healthy primary is never replaced by its equal',
    file: 'fanout/election/election.ts',
    from: '(currentRank <= acceptable || best.rank >= currentRank)',
    to: 'best.rank > currentRank',
    test: {
      file: election,
      name: 'the primary never flaps: nothing that others do replaces a healthy, alive, ready primary',
    },
  },
  {
    claim: 'a terminating primary stays until shortly before its deadline',
    file: 'fanout/election/election.ts',
    from: 'return nowMs >= deadlineMs - rules.leaveBeforeDeadlineMs;',
    to: 'return true;',
    test: {
      file: election,
      name: 'a primary with a later deadline is replaced shortly before it, as a planned change',
    },
  },
  {
    claim: 'a refused primary is no planned change',
    file: 'fanout/election/election.ts',
    from: "current?.isHealthy === true && current.condition === 'alive'",
    to: 'current?.isHealthy === true',
    test: { file: election, name: 'a refusal is not planned: no reply is worth waiting for' },
  },
  {
    claim: 'of equal replicas the most stable one is elected',
    file: 'fanout/election/election.ts',
    from: 'one.sinceMs < other.sinceMs',
    to: 'one.sinceMs > other.sinceMs',
    test: { file: election, name: 'a replica that has just recovered ranks after one that has been alive all along' },
  },
  {
    claim: 'a starting replica is never elected',
    file: 'fanout/election/election.ts',
    from: "if (upstream.readiness === 'starting') return ineligible;",
    to: '',
    test: {
      file: election,
      name: 'at any time there is at most one primary, a known replica, and there is one while one is eligible',
    },
  },
];
