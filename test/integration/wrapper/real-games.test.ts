import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { suite, test } from 'node:test';
import { eventually, isAlive, temporaryFolder, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 3 };

function missing(path: string, debianPackages: string): string | false {
  return existsSync(path) ? false : `needs ${path} (Debian: apt-get install ${debianPackages})`;
}

function portOf(wrapper: WrapperProcess): number {
  const ports = wrapper.log.find(({ msg }) => msg === 'Ports leased')?.['ports'] as Record<string, number>;
  return ports['SERVER_PORT'] ?? 0;
}

/** Sends a datagram until an answer comes. */
async function ask(port: number, datagram: Buffer): Promise<Buffer> {
  const socket = createSocket('udp4');
  let answer: Buffer | undefined;
  socket.on('message', (message) => {
    answer = message;
  });
  try {
    return await eventually(`port ${port} answers`, () => {
      socket.send(datagram, port, '127.0.0.1');
      return answer;
    });
  } finally {
    socket.close();
  }
}

const teeworlds = '/usr/games/teeworlds-server';
const openttd = '/usr/games/openttd';
const minetest = '/usr/games/minetestserver';

suite('A real game server lives its whole life in a wrapper:', parallel, () => {
  test('Teeworlds, pure UDP', { skip: missing(teeworlds, 'teeworlds-server') }, async (t) => {
    const env = { HOME: temporaryFolder(t) };
    const wrapper = new WrapperProcess(t, ['--port', 'SERVER_PORT=udp'], [teeworlds, 'sv_port {SERVER_PORT}'], { env });
    await wrapper.said('Game ready');
    // Its connectionless control message: a request for a token, which any client begins with.
    const request = Buffer.concat([
      Buffer.from([0x04, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x05, 1, 2, 3, 4]),
      Buffer.alloc(508),
    ]);
    assert.ok((await ask(portOf(wrapper), request)).length > 0);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 143);
  });

  const noOpenttd =
    missing(openttd, 'openttd openttd-opengfx') ||
    missing('/usr/share/games/openttd/baseset/opengfx', 'openttd-opengfx');
  test('OpenTTD, which is stopped on its console', { skip: noOpenttd }, async (t) => {
    const folder = temporaryFolder(t);
    const flags = ['--ready', 'log:starting game', '--warn', 'stdin:say "closing"', '--stop', 'stdin:quit'];
    const game = [openttd, '-D', '127.0.0.1:{SERVER_PORT}', '-c', `${folder}/openttd.cfg`, '-g'];
    const wrapper = new WrapperProcess(t, flags, game, { env: { HOME: folder } });
    await wrapper.said('Game ready');
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.ok(
      wrapper.output.concat(wrapper.plain).some((line) => line.includes('closing')),
      'no player was warned',
    );
  });

  test('Minetest, which reads its port from a file', { skip: missing(minetest, 'minetest-server') }, async (t) => {
    const folder = temporaryFolder(t);
    const flags = ['--port', 'SERVER_PORT=udp', '--property', `${folder}/minetest.conf:port={SERVER_PORT}`];
    const game = [
      minetest,
      '--config',
      `${folder}/minetest.conf`,
      '--world',
      `${folder}/world`,
      '--gameid',
      'minetest',
      '--logfile',
      `${folder}/minetest.log`,
    ];
    const wrapper = new WrapperProcess(t, flags, game, { env: { HOME: folder } });
    await wrapper.said('Game ready');
    // Protocol id, no peer yet, channel 0, a reliable packet with the first sequence number: what every client sends first.
    assert.ok((await ask(portOf(wrapper), Buffer.from('4f457403000000030000ff', 'hex'))).length > 0);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 0);
    assert.ok(!isAlive(Number((await wrapper.said('Game started'))['pid'])));
  });
});
