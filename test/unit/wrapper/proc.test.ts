import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parseOpenFiles, withOpenFiles } from '../../../wrapper/game/open-files.ts';
import { type ProcessEntry, parseProcessStat, selectTree } from '../../../wrapper/game/process-table.ts';
import { parseListeningHosts, parseSocketTable } from '../../../wrapper/game/socket-table.ts';

const stat = (name: string) =>
  `4242 (${name}) S 4000 4242 4242 0 -1 4194560 112 0 0 0 1 2 3 4 20 0 1 0 987654 2400256 180 18446744073709551615 1 1`;

suite('A line of /proc/PID/stat', () => {
  for (const name of ['game', 'a b', 'x) R 1 1 1', '((', ''])
    test(`is read past the name ${JSON.stringify(name)}`, () =>
      assert.deepEqual(parseProcessStat(stat(name)), {
        pid: 4242,
        name,
        state: 'S',
        parent: 4000,
        group: 4242,
        session: 4242,
        startTime: 987_654,
      }));

  for (const garbage of ['', 'x', '1 (a', '1 (a) S'])
    test(`is nothing where it says ${JSON.stringify(garbage)}`, () =>
      assert.equal(parseProcessStat(garbage), undefined));
});

const entry = (pid: number, parent: number, group: number, session: number, state = 'S'): ProcessEntry => ({
  pid,
  name: 'game',
  parent,
  group,
  session,
  state,
  startTime: pid,
});

suite('The game is', () => {
  const root = 100;
  const pids = (entries: ProcessEntry[], marked: number[] = []) =>
    selectTree(entries, root, ({ pid }) => marked.includes(pid))
      .map(({ pid }) => pid)
      .toSorted((a, b) => a - b);

  const table: [string, ProcessEntry[], number[], number[]][] = [
    ['its first process', [entry(1, 0, 1, 1), entry(100, 50, 100, 100)], [], [100]],
    [
      'its children, grandchildren included',
      [entry(102, 101, 102, 100), entry(101, 100, 100, 100), entry(100, 50, 100, 100)],
      [],
      [100, 101, 102],
    ],
    ['what its dead launcher left in the group', [entry(101, 1, 100, 100)], [], [101]],
    ['a child in a session of its own', [entry(100, 50, 100, 100), entry(101, 100, 101, 101)], [], [100, 101]],
    [
      'a daemon that only its mark gives away, and the children of that',
      [entry(300, 1, 300, 300), entry(301, 300, 301, 301)],
      [300],
      [300, 301],
    ],
    ['no zombie', [entry(100, 50, 100, 100, 'Z'), entry(101, 1, 100, 100, 'X')], [], []],
    ['nobody else', [entry(99, 1, 99, 99), entry(101, 99, 99, 99)], [], []],
  ];
  for (const [what, entries, marked, expected] of table)
    test(what, () => assert.deepEqual(pids(entries, marked), expected));
});

const udp = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  412: 0100007F:4E20 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 55501 2 0000000000000000 0
  413: 00000000:4E21 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 55502 2 0000000000000000 0
`;
const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:4E20 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 71001 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:4E20 0000000000000000FFFF00000100007F:A2C4 01 00000000:00000000 00:00000000 00000000     0        0 71002 1 0000000000000000 20 4 30 10 -1
`;

suite('A socket table of the kernel', () => {
  test('tells who is bound to a UDP port', () => {
    assert.deepEqual(parseSocketTable(udp, 'udp', new Set([20_000])), [
      { protocol: 'udp', port: 20_000, inode: 55_501, isLoopback: true },
    ]);
  });

  test('tells who listens on a TCP port, and not who talks on it', () => {
    assert.deepEqual(parseSocketTable(tcp6, 'tcp', new Set([20_000])), [
      { protocol: 'tcp', port: 20_000, inode: 71_001, isLoopback: false },
    ]);
  });

  test('tells on which addresses something listens', () => {
    const tcp = `  sl  local_address rem_address   st
   0: 020200C0:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0
   1: 0100007F:4E20 020200C0:A2C4 01 00000000:00000000 00:00000000 00000000 0 0 2 1 0 20 4 30 10 -1
`;
    assert.deepEqual(parseListeningHosts(tcp, 20_000), ['192.0.2.2']);
    const listensOn6 = tcp6.replace('00000000000000000000000000000000:4E20', 'B80D0120000000000000000001000000:4E20');
    assert.deepEqual(parseListeningHosts(listensOn6, 20_000), ['2001:db8:0:0:0:0:0:1']);
    assert.deepEqual(parseListeningHosts(tcp, 20_001), []);
  });

  test('is empty where it cannot be read', () => {
    assert.deepEqual(parseSocketTable('', 'udp', new Set([20_000])), []);
  });
});

suite('A limit on open files', () => {
  const limits = (soft: string, hard: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax processes  5  6  processes \nMax open files            ${soft}                 ${hard}               files     \n`;

  test('is read as the kernel writes it', () => {
    assert.deepEqual(parseOpenFiles(limits('1024', '524288')), { soft: 1024, hard: 524_288 });
    assert.deepEqual(parseOpenFiles(limits('1024', 'unlimited')), { soft: 1024, hard: Number.POSITIVE_INFINITY });
    assert.equal(parseOpenFiles(''), undefined);
  });

  test('is set by a shell that becomes the program, where there is such a program', () => {
    assert.deepEqual(withOpenFiles('sh', ['-c', 'x'], 9, '/nowhere:/bin')[1].slice(-4), ['9', 'sh', '-c', 'x']);
    assert.deepEqual(withOpenFiles('sh', ['x'], undefined, '/bin'), ['sh', ['x']]);
    assert.deepEqual(withOpenFiles('no-such-game', ['x'], 9, '/bin'), ['no-such-game', ['x']]);
    assert.deepEqual(withOpenFiles('/etc', [], 9, ''), ['/etc', []]);
  });
});
