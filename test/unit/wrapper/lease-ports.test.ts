import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { exitStatus, FatalError } from '../../../shared/exit-status.ts';
import { leasePorts } from '../../../wrapper/ports/lease-ports.ts';
import type { PortLeases } from '../../../wrapper/ports/port-lease.ts';
import type { Probe } from '../../../wrapper/ports/probe-port.ts';
import { rangeClash } from '../../../wrapper/ports/range-clash.ts';
import type { PortRequest } from '../../../wrapper/settings/parse-setting.ts';

const range = { first: 20_000, last: 20_009 };
const free: Probe = async () => 'free';
const anyPort = (name: string): PortRequest => ({ name, protocol: 'udp+tcp', count: 1, pinned: undefined });

/** The leases of one network namespace, in memory. */
class MemoryLeases implements PortLeases {
  readonly held = new Set<number>();

  async take(port: number) {
    if (this.held.has(port)) return undefined;
    this.held.add(port);
    return {
      port,
      release: async () => {
        this.held.delete(port);
      },
    };
  }
}

suite('Leasing ports', () => {
  test('gives each wrapper other ones, down to the last, wherever each begins to look', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 5, maxLength: 5 }),
        async (starts) => {
          const leases = new MemoryLeases();
          const all = await Promise.all(
            starts.map((start) =>
              leasePorts({ requests: [anyPort('A'), anyPort('B')], range, leases, probe: free, random: () => start }),
            ),
          );
          const ports = all.flatMap((leased) => leased.ports.map(({ port }) => port));
          assert.equal(new Set(ports).size, 10);
          for (const leased of all) await leased.release();
          assert.equal(leases.held.size, 0);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('passes over ports that are in use, and gives their leases back', async () => {
    const leases = new MemoryLeases();
    const probe: Probe = async (port) => (port === 20_007 ? 'free' : 'busy');
    const { ports } = await leasePorts({ requests: [anyPort('A')], range, leases, probe, random: () => 0 });
    assert.deepEqual(ports, [{ name: 'A', port: 20_007, protocol: 'udp+tcp' }]);
    assert.deepEqual([...leases.held], [20_007]);
  });

  test('fails with one clear line when the range is exhausted, and keeps nothing', async () => {
    const leases = new MemoryLeases();
    for (let port = 20_000; port < 20_004; port++) leases.held.add(port);
    const probe: Probe = async (port) => (port === 20_009 ? 'free' : 'busy');
    const failure = await leasePorts({
      requests: [anyPort('A'), anyPort('B')],
      range,
      leases,
      probe,
      random: () => 0.99,
    }).catch((error: unknown) => error);
    assert.ok(failure instanceof FatalError);
    assert.equal(failure.status, exitStatus.unavailable);
    assert.equal(
      failure.message,
      'Cannot lease a port for B: all 10 ports of 20000-20009 are taken (5 leased, 5 in use)',
    );
    assert.equal(leases.held.size, 4);
  });

  test('gives adjacent ports in one run, all or none, whoever else looks for some at the same time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 3, maxLength: 3 }),
        fc.integer({ min: 20_000, max: 20_029 }),
        async (starts, busy) => {
          const leases = new MemoryLeases();
          const probe: Probe = async (port) => (port === busy ? 'busy' : 'free');
          const wide = { first: 20_000, last: 20_029 };
          const requests: PortRequest[] = [
            { name: 'GAME', protocol: 'udp', count: 3, pinned: undefined },
            anyPort('R'),
          ];
          const all = await Promise.all(
            starts.map((start) => leasePorts({ requests, range: wide, leases, probe, random: () => start })),
          );
          for (const { ports } of all) {
            assert.deepEqual(
              ports.map(({ name }) => name),
              ['GAME', 'GAME_2', 'GAME_3', 'R'],
            );
            const [first = 0, second, third] = ports.map(({ port }) => port);
            assert.deepEqual([second, third], [first + 1, first + 2]);
          }
          const taken = all.flatMap((leased) => leased.ports.map(({ port }) => port));
          assert.equal(new Set(taken).size, 12);
          assert.ok(!taken.includes(busy));
          assert.equal(leases.held.size, 12, 'a lease of a run that came to nothing was kept');
          for (const leased of all) await leased.release();
          assert.equal(leases.held.size, 0);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('says so where the free ports do not follow each other', async () => {
    const leases = new MemoryLeases();
    const probe: Probe = async (port) => (port % 3 === 0 ? 'busy' : 'free');
    const requests: PortRequest[] = [{ name: 'GAME', protocol: 'udp', count: 3, pinned: undefined }];
    await assert.rejects(leasePorts({ requests, range, leases, probe, random: () => 0.5 }), {
      message: 'Cannot lease ports for GAME: no 3 in a row are free in 20000-20009',
    });
    const onlyTheLast: Probe = async (port) => (port < range.last - 1 ? 'busy' : 'free');
    await assert.rejects(leasePorts({ requests, range, leases, probe: onlyTheLast, random: () => 0.5 }), {
      message: 'Cannot lease ports for GAME: no 3 in a row are free in 20000-20009',
    });
    assert.equal(leases.held.size, 0);
  });

  test('pins adjacent ports as one', async () => {
    const leases = new MemoryLeases();
    const requests: PortRequest[] = [{ name: 'GAME', protocol: 'udp', count: 2, pinned: 2456 }];
    const { ports } = await leasePorts({ requests, range, leases, probe: free, random: () => 0 });
    assert.deepEqual(
      ports.map(({ name, port }) => [name, port]),
      [
        ['GAME', 2456],
        ['GAME_2', 2457],
      ],
    );
    leases.held.delete(2456);
    await assert.rejects(
      leasePorts({ requests, range, leases, probe: free, random: () => 0 }),
      /2457 for GAME_2: another/,
    );
    assert.deepEqual([...leases.held], [2457], 'the first one stayed leased');
  });

  test('keeps a pinned port out of reach of the other requests', async () => {
    const pinned: PortRequest = { name: 'B', protocol: 'udp', count: 1, pinned: 20_000 };
    const { ports } = await leasePorts({
      requests: [anyPort('A'), pinned],
      range,
      leases: new MemoryLeases(),
      probe: free,
      random: () => 0,
    });
    assert.deepEqual(
      ports.map(({ name, port }) => `${name} ${port}`),
      ['A 20001', 'B 20000'],
    );
  });

  test('asks of a pinned port only the protocols that were asked for, and names it when they are taken', async () => {
    const probe: Probe = async (_, protocol) => (protocol === 'udp' ? 'free' : 'busy');
    const lease = (protocol: 'udp' | 'tcp') =>
      leasePorts({
        requests: [{ name: 'A', protocol, count: 1, pinned: 27_015 }],
        range,
        leases: new MemoryLeases(),
        probe,
        random: () => 0,
      });
    assert.equal((await lease('udp')).ports[0]?.port, 27_015);
    await assert.rejects(lease('tcp'), /^FatalError: Cannot lease port 27015 for A: its tcp is in use$/);
  });

  test('shares one number between its UDP and its TCP name', async () => {
    const leases = new MemoryLeases();
    const requests: PortRequest[] = [
      { name: 'A', protocol: 'udp', count: 1, pinned: 27_015 },
      { name: 'B', protocol: 'tcp', count: 1, pinned: 27_015 },
    ];
    const leased = await leasePorts({ requests, range, leases, probe: free, random: () => 0 });
    assert.deepEqual(
      leased.ports.map(({ port }) => port),
      [27_015, 27_015],
    );
    await leased.release();
    assert.equal(leases.held.size, 0);
  });

  test('says when another game server has the pinned port, or when this user may not bind it', async () => {
    const leases = new MemoryLeases();
    const lease = (probe: Probe) =>
      leasePorts({
        requests: [{ name: 'A', protocol: 'udp', count: 1, pinned: 53 }],
        range,
        leases,
        probe,
        random: () => 0,
      });
    await assert.rejects(
      lease(async () => 'forbidden'),
      { status: exitStatus.noPermission, message: /may not bind it/ },
    );
    leases.held.add(53);
    await assert.rejects(lease(free), { status: exitStatus.unavailable, message: /another game server holds it/ });
  });
});

test('A range that others take ports of is told of', () => {
  const ephemeral = { first: 32_768, last: 60_999 };
  assert.equal(rangeClash({ first: 20_000, last: 29_999 }, ephemeral), undefined);
  assert.match(rangeClash({ first: 20_000, last: 30_000 }, ephemeral) ?? '', /NodePort/);
  assert.match(rangeClash({ first: 60_999, last: 61_000 }, ephemeral) ?? '', /outgoing connections/);
  assert.equal(rangeClash({ first: 61_000, last: 65_535 }, undefined), undefined);
});
