import type { Mutant } from '../mutant.ts';

const notices = 'test/unit/agent/notices.test.ts';
const spotNotice = 'test/unit/shared/parse-spot-notice.test.ts';
const tracking = 'test/unit/agent/track-interruption.test.ts';
const clock = 'test/unit/shared/checked-clock.test.ts';
const facts = 'test/unit/agent/instance-facts.test.ts';
const client = 'test/integration/shared/metadata-client.test.ts';

export const noticeMutants: readonly Mutant[] = [
  {
    claim: 'a maintenance event that makes no sense hides no other',
    file: 'agent/interruption/notices/parse-maintenance.ts',
    from: "if (typeof notice === 'string') remarks.push(notice);",
    to: "if (typeof notice === 'string') return { garbage: notice };",
    test: { file: notices, name: 'whatever stands beside it in the list, an event that makes sense is found' },
  },
  {
    claim: 'a spot notice with a new action is a notice',
    file: 'shared/interruption/parse-spot-notice.ts',
    from: 'const deadlineMs = readInstant(time);',
    to: "const deadlineMs = readInstant(time); if (action === undefined) return { garbage: 'unknown action' };",
    test: {
      file: spotNotice,
      name: 'a spot notice with … is a notice all the same, and says what was assumed',
    },
  },
  {
    claim: 'an object that names neither action nor time is no notice',
    file: 'shared/interruption/parse-spot-notice.ts',
    from: 'if (word === undefined && time === undefined)',
    to: 'if (word === null)',
    test: { file: spotNotice, name: 'a spot notice that is … is garbage, never an interruption' },
  },
  {
    claim: 'a spot notice gives two minutes at most',
    file: 'shared/interruption/spot-deadline.ts',
    from: 'firstSeenMs + Math.min(noticeMs, spotNoticeMs)',
    to: 'firstSeenMs + noticeMs',
    test: { file: tracking, name: 'a fresh spot notice gives two minutes at most' },
  },
  {
    claim: 'a spot deadline that the instance has outlived was not true',
    file: 'shared/interruption/spot-deadline.ts',
    from: 'announcedMs !== undefined && announcedMs >= firstSeenMs - maxLateMs',
    to: 'announcedMs !== undefined',
    test: { file: tracking, name: 'a spot deadline ten minutes past was not true: two minutes are left from now' },
  },
  {
    claim: 'a maintenance that has begun already ends no pod at once',
    file: 'agent/interruption/policy.ts',
    from: " && (kind !== 'maintenance' || deadlineMs > firstSeenMs)",
    to: '',
    test: { file: tracking, name: 'a maintenance that has begun already leaves the assumed notice' },
  },
  {
    claim: 'the second interruption of an instance is not counted from the first one',
    file: 'agent/interruption/track-interruption.ts',
    from: 'const isOver = knownMs !== undefined && knownMs < nowMs - maxOverMs;',
    to: 'const isOver = knownMs === 0;',
    test: {
      file: tracking,
      name: 'is another one where a new notice comes long after the first one was over, as after a stop and start',
    },
  },
  {
    claim: 'a source that was not looked at is not out of sight',
    file: 'agent/interruption/track-interruption.ts',
    from: 'const isBlind = blindTo.has(interruption.kind);',
    to: 'const isBlind = true;',
    test: {
      file: tracking,
      name: 'waits for its source to be read: one that was not looked at is not out of sight',
    },
  },
  {
    claim: 'of three clocks the middle one is believed',
    file: 'shared/checked-clock.ts',
    from: 'return wallMs - middle(wallMs, first, second);',
    to: 'return wallMs - first;',
    test: { file: clock, name: 'is not led astray by one of two servers whose clock is wrong' },
  },
  {
    claim: 'games are told a deadline as their own clock will show it',
    file: 'shared/checked-clock.ts',
    from: 'return epochMs + this.#options.wall.now() - this.now();',
    to: 'return epochMs;',
    test: {
      file: clock,
      name: "shows the metadata service's time where the wall clock is … ms away from it",
    },
  },
  {
    claim: 'a notice does not wait for the name of its instance',
    file: 'agent/instance-facts.ts',
    from: 'await Promise.race([this.#asked, limit])',
    to: 'await this.#asked',
    test: { file: facts, name: 'keeps no notice waiting where the metadata service takes its time' },
  },
  {
    claim: 'one fact that is none hides no other',
    file: 'shared/metadata/instance.ts',
    from: 'isAnswered ||= error.failure',
    to: "if (error.failure === 'garbage') throw error; isAnswered ||= error.failure",
    test: { file: facts, name: 'one fact that is none hides no other, and is asked for again' },
  },
  {
    claim: 'a request that waits for its turn is not held against the metadata service',
    file: 'shared/metadata/metadata-client.ts',
    from: "outgoing.once('socket', (socket) => {",
    to: 'const socket = { connecting: false }; process.nextTick(() => {',
    test: { file: client, name: 'is not blamed for requests that wait for their turn' },
  },
  {
    claim: 'a metadata service that is slow gets more time',
    file: 'shared/metadata/metadata-client.ts',
    from: 'if (!socket.connecting) this.#limit.exceeded(limitMs);',
    to: '',
    test: { file: client, name: 'is waited for longer, once it has shown how slow it is' },
  },
  {
    claim: 'a lifecycle action is completed only when everybody has been told',
    file: 'agent/auto-scaling/lifecycle-hook.ts',
    from: 'if (mayGo) {',
    to: "if (now === 'done') {",
    test: {
      file: 'test/integration/agent/lifecycle-hook.test.ts',
      name: 'heartbeats go on until nothing keeps the instance, and nobody is left to be told',
    },
  },
];
