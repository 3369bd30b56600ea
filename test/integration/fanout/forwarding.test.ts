import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { skipped, startPlayer, startProxy, startReplica, transports, until } from './proxy-harness.ts';

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

/** Bytes that no other of its length has. */
function numbered(index: number, length: number): Buffer {
  const bytes = Buffer.alloc(length, 120);
  bytes.write(String(index).slice(0, length), 'latin1');
  return bytes;
}

for (const transport of transports)
  describe(`forwarding over ${transport}`, { skip: skipped(transport) }, () => {
    const endings: (() => unknown)[] = [];
    after(async () => {
      for (const end of endings.reverse()) await end();
    });
    const ending = <T>(thing: T, end: (thing: T) => unknown): T => {
      endings.push(() => end(thing));
      return thing;
    };
    const replica = async (...args: Parameters<typeof startReplica>) =>
      ending(await startReplica(...args), ({ stop }) => stop());
    const proxy = async (...args: Parameters<typeof startProxy>) =>
      ending(await startProxy(...args), ({ stop }) => stop());
    const player = async (...args: Parameters<typeof startPlayer>) =>
      ending(await startPlayer(...args), ({ close }) => close());

    test('each replica sees each player as a source port of its own, and one replica answers', async () => {
      const [a, b] = [await replica('a'), await replica('b')];
      const { port } = await proxy(transport, [a.upstream, b.upstream]);
      const players = [await player(port), await player(port), await player(port)];
      for (let turn = 0; turn < 5; turn++) {
        for (const { send } of players) send(`turn ${turn}`);
        await until(() => players.every(({ answers }) => answers.length === turn + 1), 'all are answered');
      }
      await until(() => b.seen.length === 15, 'the spare has had everything');
      for (const { seen } of [a, b]) assert.equal(new Set(seen.map(({ from }) => from.port)).size, 3);
      for (const { answers } of players)
        assert.deepEqual(
          answers.map(({ text }) => text),
          Array.from({ length: 5 }, (_, turn) => `a turn ${turn}`),
        );
    });

    test('sessions take the configured local addresses in turn, each of the right family', async () => {
      const [four, six] = [await replica('four'), await replica('six', '::1')];
      const flags = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '::1'].flatMap((ip) => ['--upstream-address', ip]);
      const { port } = await proxy(transport, [four.upstream, six.upstream], flags);
      const players = await Promise.all(Array.from({ length: 6 }, () => player(port)));
      for (const { send } of players) send('hello');
      await until(() => players.every(({ answers }) => answers.length === 1), 'all are answered');
      const sources = four.seen.map(({ from }) => from.address);
      assert.deepEqual([...new Set(sources)].sort(), ['127.0.0.2', '127.0.0.3', '127.0.0.4']);
      await until(() => six.seen.length === 6, 'the other replica has had all');
    });

    test('datagrams of every size arrive whole, empty ones too', async () => {
      const echo = await replica('echo', '127.0.0.1', (message, reply) => reply(message));
      const { port } = await proxy(transport, [echo.upstream]);
      const { send, answers } = await player(port);
      for (const size of [0, 1, 1200, 1472, 1473, 9000, 65_507]) {
        const bytes = Buffer.alloc(size, size % 251);
        const before = answers.length;
        send(bytes);
        await until(() => answers.length > before, `${size} bytes come back`);
        assert.ok(answers.at(-1)?.bytes.equals(bytes), `${size} bytes`);
      }
    });

    test('IPv6 and IPv4 players are served on one port by replicas of either kind', async () => {
      const [four, six] = [await replica('four'), await replica('six', '::1')];
      const served = await proxy(transport, [six.upstream, four.upstream], ['--listen', '[::]:0']);
      const players = [await player(served.port, '::1'), await player(served.port, '127.0.0.1')];
      for (const { send } of players) send('hello');
      await until(() => players.every(({ answers }) => answers.length === 1), 'both are answered');
      await until(() => four.seen.length === 2, 'the other replica has had both');
      assert.deepEqual(
        players.map(({ answers }) => answers[0]?.text),
        ['six hello', 'six hello'],
      );
    });

    test('bursts of several players arrive whole and in order, whatever their lengths', async () => {
      const echo: Parameters<typeof replica>[2] = (message, reply) => reply(message);
      const [primary, spare] = [await replica('a', '127.0.0.1', echo), await replica('b', '::1', echo)];
      const { port } = await proxy(transport, [primary.upstream, spare.upstream]);
      const players = [await player(port), await player(port)];
      // Alike, shorter ones behind, longer ones behind, empty ones, and about the length up to which a kernel is given
      // several at once.
      const lengths = [
        ...times(70, 40),
        39,
        40,
        41,
        41,
        8,
        0,
        0,
        8,
        ...times(3, 1200),
        ...times(3, 1201),
        1200,
        1200,
        5,
      ];
      const datagrams = lengths.map((length, index) => numbered(index, length));
      for (const { send } of players) send('open');
      await until(() => players.every(({ answers }) => answers.length === 1), 'the sessions are open');
      for (const bytes of datagrams) for (const { send } of players) send(bytes);
      await until(() => players.every(({ answers }) => answers.length > lengths.length), 'all come back');
      for (const { answers } of players)
        assert.deepEqual(
          answers.slice(1).map(({ text }) => text),
          datagrams.map((bytes) => bytes.toString('latin1')),
        );
      const ports = new Set(spare.seen.map(({ from }) => from.port));
      assert.equal(ports.size, 2);
      for (const seen of ports)
        assert.deepEqual(
          spare.seen.filter(({ from }) => from.port === seen).map(({ bytes }) => bytes),
          [4, ...lengths],
        );
    });

    test('a burst to a closed port costs the other replica nothing', async () => {
      const [echo, gone] = [await replica('echo'), await replica('gone')];
      const { port } = await proxy(transport, [echo.upstream, gone.upstream]);
      const { send, answers } = await player(port);
      send('open');
      await until(() => gone.seen.length === 1 && answers.length === 1, 'the session is open');
      gone.stop();
      for (let burst = 1; burst <= 3; burst++) {
        for (const bytes of times(60, Buffer.from('x'))) send(bytes);
        await until(() => answers.length === burst * 60 + 1, 'all are answered');
      }
    });

    test('an unreachable replica delays nothing and is logged once', async () => {
      const echo = await replica('echo');
      // The kernel connects to no broadcast address.
      const unreachable = { ...echo.upstream, id: 'unreachable', address: '255.255.255.255' };
      const served = await proxy(transport, [unreachable, echo.upstream]);
      const { send, answers } = await player(served.port);
      const playing = setInterval(() => send('x'), 10);
      await until(() => answers.length > 50, 'the other replica answers');
      clearInterval(playing);
      const said = served.log.filter(({ msg }) => msg === 'Socket error');
      assert.equal(said.length, 1);
      assert.match(String(said[0]?.['err']), /255\.255\.255\.255/);
    });

    test('a new address cannot be flooded with more than three times the bytes it sent', async () => {
      const loud = await replica('loud', '127.0.0.1', (_, reply) => {
        for (let copy = 0; copy < 20; copy++) reply(Buffer.alloc(1000));
      });
      const served = await proxy(transport, [loud.upstream]);
      const { send, answers } = await player(served.port);
      send(Buffer.alloc(1000));
      const metrics = async () => (await fetch(`${served.operationsUrl}/metrics`)).text();
      let text = '';
      const endMs = performance.now() + 5000;
      while (!text.includes('drops_total{reason="amplification"} 17') && performance.now() < endMs)
        text = await metrics();
      assert.match(text, /drops_total\{reason="amplification"\} 17/);
      assert.equal(answers.length, 3);
    });

    test('one source cannot take all sessions, others still get theirs', async () => {
      const echo = await replica('echo');
      const { port } = await proxy(transport, [echo.upstream], ['--max-sessions-per-source', '2']);
      const greedy = [await player(port), await player(port), await player(port)];
      for (const { send } of greedy) send('x');
      await until(() => greedy.filter(({ answers }) => answers.length === 1).length === 2, 'two are served');
      const other = await player(port, '127.0.0.1', '127.0.0.9');
      other.send('y');
      await until(() => other.answers.length === 1, 'the other source is served');
      assert.equal(greedy.filter(({ answers }) => answers.length === 0).length, 1);
    });

    test('with two workers each player stays with one of them and all have the same primary', async () => {
      const [a, b] = [await replica('a'), await replica('b')];
      const served = await proxy(transport, [a.upstream, b.upstream], ['--workers', '2', '--min-silence', '50ms']);
      const players = await Promise.all(Array.from({ length: 16 }, () => player(served.port)));
      const turn = async (from: string, count: number) => {
        for (const { send } of players) send('x');
        await until(() => players.every(({ answers }) => answers.length >= count), `${from} answers all`);
        for (const { answers } of players) assert.equal(answers.at(-1)?.text, `${from} x`);
      };
      await turn('a', 1);
      assert.equal(new Set(a.seen.map(({ from }) => from.port)).size, 16);
      served.setUpstreams([{ ...a.upstream, readiness: 'terminating' }, b.upstream]);
      await until(
        () => served.log.some(({ msg, to }) => msg === 'Primary changed' && to === b.upstream.id),
        'b is primary',
      );
      // The workers hear of it by message.
      const isMoved = () => players.every(({ answers }) => answers.at(-1)?.text === 'b x');
      for (let attempt = 0; attempt < 200 && !isMoved(); attempt++) {
        const before = players.map(({ answers }) => answers.length);
        for (const { send } of players) send('x');
        await until(
          () => players.every(({ answers }, index) => answers.length > (before[index] ?? 0)),
          'all are answered',
        );
      }
      assert.ok(isMoved());
    });
  });

test('in a flood a confirmed player gets a socket of its own and plays on', {
  skip: skipped('native'),
}, async () => {
  const echo = await startReplica('echo');
  const proxy = await startProxy('native', [echo.upstream], ['--session-rate', '5']);
  const player = await startPlayer(proxy.port);
  const playing = setInterval(() => player.send('x'), 10);
  await until(() => player.answers.length > 120, 'the player is established');
  // 127.0.0.0/8 is all this machine's: each stranger has an address of its own.
  const strangers = await Promise.all(
    Array.from({ length: 100 }, (_, index) => startPlayer(proxy.port, '127.0.0.1', `127.0.7.${index + 1}`)),
  );
  const flooding = setInterval(() => {
    for (const { send } of strangers) for (let copy = 0; copy < 4; copy++) send('flood');
  }, 10);
  const metrics = async () => (await fetch(`${proxy.operationsUrl}/metrics`)).text();
  let text = '';
  const endMs = performance.now() + 10_000;
  while (!text.includes('sessions_isolated_total 1') && performance.now() < endMs) text = await metrics();
  assert.match(text, /^spotable_fanout_sessions_isolated_total 1$/m);
  const before = player.answers.length;
  await until(() => player.answers.length > before + 50, 'it plays on, through its own socket');
  clearInterval(flooding);
  clearInterval(playing);
  for (const { close } of [player, ...strangers]) close();
  await proxy.stop();
  echo.stop();
});

/** A network of its own, with room for 1,000 bytes in a packet. */
function inNarrowNetwork(...command: string[]) {
  const script = 'ip link set lo mtu 1000 up && exec "$@"';
  return spawnSync('unshare', ['--map-root-user', '--net', 'sh', '-c', script, 'sh', ...command], { encoding: 'utf8' });
}

const noNamespace = inNarrowNetwork('true').status !== 0 && 'no network namespace, or no ip command';

test('a network without GSO gets the datagrams one by one', {
  skip: skipped('native') || noNamespace,
}, () => {
  const { stdout, stderr } = inNarrowNetwork(process.execPath, join(import.meta.dirname, 'fixtures/narrow-network.ts'));
  assert.equal(stdout, '40 of 40\n', stderr);
});
