import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { suite, test } from 'node:test';
import { abstractLeases } from '../../../wrapper/ports/abstract-leases.ts';
import { leaseDirectory } from '../../../wrapper/ports/lease-directory.ts';
import { leasePorts } from '../../../wrapper/ports/lease-ports.ts';
import { probePort } from '../../../wrapper/ports/probe-port.ts';
import { type Afterwards, eventually, fixture, temporaryFolder, WrapperProcess } from './wrapper-process.ts';

/**
 * Below the ports that the kernel gives to connections, and below our own default range: other tests do not come here.
 */
async function someFreePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 7000);
    if ((await probePort(port, 'udp+tcp')) === 'free') return port;
  }
}

async function occupyUdp(t: Afterwards, type: 'udp4' | 'udp6', address: string): Promise<number> {
  const socket = createSocket({ type, ipv6Only: type === 'udp6' });
  t.after(() => socket.close());
  socket.bind(await someFreePort(), address);
  await once(socket, 'listening');
  return socket.address().port;
}

async function occupyTcp(t: Afterwards, host: string): Promise<number> {
  const server = createServer().listen(await someFreePort(), host);
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

suite('A port', () => {
  test('is free where nobody has it', async () => {
    assert.equal(await probePort(await someFreePort(), 'udp+tcp'), 'free');
  });

  test('is busy where somebody has its UDP on one address, though its TCP is free', async (t) => {
    const port = await occupyUdp(t, 'udp4', '127.0.0.1');
    assert.deepEqual(
      [await probePort(port, 'udp+tcp'), await probePort(port, 'udp'), await probePort(port, 'tcp')],
      ['busy', 'busy', 'free'],
    );
  });

  test('is busy where somebody has its IPv6 alone', async (t) => {
    const port = await occupyUdp(t, 'udp6', '::1');
    assert.equal(await probePort(port, 'udp'), 'busy');
  });

  test('is busy where somebody listens on its TCP', async (t) => {
    const port = await occupyTcp(t, '127.0.0.1');
    assert.deepEqual([await probePort(port, 'udp+tcp'), await probePort(port, 'udp')], ['busy', 'free']);
  });
});

test('Games that take the next ports unasked run side by side, each in a run of its own', async (t) => {
  const first = await someFreePort();
  // Room for three of them where they lie without a gap; two find theirs wherever the first one lies.
  const flags = ['--port', 'GAME=udp*3', '--port-range', `${first}-${first + 8}`];
  const wrappers = [1, 2].map(() => new WrapperProcess(t, flags, fixture('adjacent-game.ts', '3')));
  for (const wrapper of wrappers) {
    await eventually('the game has all three', () => wrapper.output.filter((line) => /^bound/.test(line)).length === 3);
    await wrapper.said('Game ready');
  }
});

for (const kind of ['an abstract socket', 'a lease directory'] as const)
  suite(`A lease by ${kind}`, () => {
    const leasesFor = (t: Afterwards) =>
      kind === 'an abstract socket' ? abstractLeases : leaseDirectory(temporaryFolder(t), Math.random);

    test('is held by one at a time, and by the next one once it is released', async (t) => {
      const leases = leasesFor(t);
      const port = await someFreePort();
      const first = await leases.take(port);
      assert.ok(first !== undefined);
      assert.equal(await leases.take(port), undefined);
      await first.release();
      const second = await leases.take(port);
      assert.ok(second !== undefined);
      await second.release();
    });

    test('goes to one at most of many who want it at the same time', async (t) => {
      const leases = leasesFor(t);
      const port = await someFreePort();
      for (let round = 0; round < 10; round++) {
        const taken = (await Promise.all(Array.from({ length: 8 }, () => leases.take(port)))).filter(
          (lease) => lease !== undefined,
        );
        assert.ok(taken.length <= 1, `${taken.length} hold it`);
        await Promise.all(taken.map((lease) => lease.release()));
      }
    });
  });

test('A lease directory gives away what a wrapper that was killed has left, and no file stays', async (t) => {
  const folder = temporaryFolder(t);
  const flags = ['--lease-dir', folder, '--port', 'GAME=udp', '--port-range', '29991-29991'];
  const first = new WrapperProcess(t, flags, ['sleep', '1000']);
  await first.said('Game started');
  const second = new WrapperProcess(t, flags, ['true']);
  assert.equal(await second.status(), 69);
  first.signal('SIGKILL');
  await first.ended;
  assert.equal(readdirSync(folder).length, 1);
  const third = new WrapperProcess(t, flags, ['true']);
  assert.equal(await third.status(), 0);
  assert.deepEqual(readdirSync(folder), []);
});

test('A port that a stranger has taken is passed over, whatever protocol he speaks', async (t) => {
  const first = await occupyUdp(t, 'udp4', '127.0.0.1');
  const range = { first, last: first + 1 };
  const requests = [{ name: 'GAME', protocol: 'tcp' as const, count: 1, pinned: undefined }];
  if ((await probePort(first + 1, 'udp+tcp')) !== 'free') return t.skip('the next port is not free');
  const leased = await leasePorts({ requests, range, leases: abstractLeases, probe: probePort, random: () => 0 });
  assert.equal(leased.ports[0]?.port, first + 1);
  await leased.release();
});

test('A wrapper that has run out of descriptors says that, and runs its game where they last for it', async (t) => {
  const limits = Array.from({ length: 14 }, (_, index) => 18 + index);
  const said = await Promise.all(
    limits.map(async (limit) => {
      const before = ['sh', '-c', 'ulimit -n "$0"; exec "$@"', String(limit)];
      const wrapper = new WrapperProcess(t, ['--port', 'GAME=udp'], ['true'], { before });
      await wrapper.ended;
      return [...wrapper.plain, ...wrapper.log.map(({ msg }) => msg)].join();
    }),
  );
  assert.ok(said.some((text) => /Cannot look for a free port: .*EMFILE.*raise the limit/.test(text)));
  assert.ok(!said.some((text) => /are taken|TypeError/.test(text)));
  assert.ok(said.some((text) => /No watchdog.*,Game ended/.test(text)));
});
