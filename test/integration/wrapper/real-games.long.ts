import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { suite, test } from 'node:test';
import { FakeAgent } from './fake-agent.ts';
import { eventually, isAliveAndNoZombie, temporaryFolder, WrapperProcess } from './wrapper-process.ts';

const parallel = { concurrency: 2 };

interface RealGame {
  /** Files that have to be there; the first one is the server. */
  readonly needs: readonly string[];
  readonly debianPackages: string;
  readonly flags: (folder: string) => readonly string[];
  readonly args: (folder: string) => readonly string[];
  /** It refuses to run as root. */
  readonly isNotForRoot?: boolean;
  /** What a client begins with. */
  readonly ask?: (port: number) => Promise<unknown>;
  /** What its end leaves behind. */
  readonly hasSaved?: (folder: string, wrapper: WrapperProcess) => boolean;
  readonly status: number;
}

const udp = ['--port', 'SERVER_PORT=udp'];
const tcp = ['--port', 'SERVER_PORT=tcp'];

/** Sends a datagram until an answer comes. */
async function askUdp(port: number, datagram: Buffer): Promise<void> {
  const socket = createSocket('udp4');
  let answer: Buffer | undefined;
  socket.on('message', (message) => {
    answer = message;
  });
  try {
    await eventually(`port ${port} answers`, () => {
      socket.send(datagram, port, '127.0.0.1');
      return answer;
    });
  } finally {
    socket.close();
  }
}

/** Says hello and waits for the first bytes of the answer. */
async function askTcp(port: number, hello: Buffer): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write(hello);
    await once(socket, 'data', { signal: AbortSignal.timeout(30_000) });
  } finally {
    socket.destroy();
  }
}

const quake = Buffer.from('\xff\xff\xff\xffgetstatus\n', 'latin1');
const teeworldsToken = Buffer.concat([
  Buffer.from([0x04, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x05, 1, 2, 3, 4]),
  Buffer.alloc(508),
]);

const games: Readonly<Record<string, RealGame>> = {
  Teeworlds: {
    needs: ['/usr/games/teeworlds-server'],
    debianPackages: 'teeworlds-server',
    flags: () => udp,
    args: () => ['sv_port {SERVER_PORT}'],
    // A request for a token, which any client begins with.
    ask: (port) => askUdp(port, teeworldsToken),
    status: 143,
  },
  'DDNet, which hears its orders from a FIFO': {
    needs: ['/usr/games/DDNet-Server'],
    debianPackages: 'ddnet-server',
    flags: (folder) => [
      ...udp,
      ...['--warn', `exec:echo "broadcast closing in {SECONDS_LEFT}" > ${folder}/orders`],
      ...['--stop', `exec:echo shutdown > ${folder}/orders`],
    ],
    args: (folder) => ['sv_port {SERVER_PORT}', 'sv_register 0', `sv_input_fifo ${folder}/orders`],
    ask: (port) => askUdp(port, Buffer.from(`${'\xff'.repeat(10)}gie3\0`, 'latin1')),
    hasSaved: (folder) => existsSync(`${folder}/ddnet-server.sqlite`),
    status: 0,
  },
  'OpenArena, a Quake 3 engine': {
    needs: ['/usr/games/openarena-server', '/usr/share/games/openarena/baseoa/pak0.pk3'],
    debianPackages: 'openarena-server openarena-data',
    flags: () => udp,
    args: (folder) => [
      ...['+set', 'net_port', '{SERVER_PORT}', '+set', 'fs_homepath', folder, '+set', 'dedicated', '1'],
      ...['+map', 'oa_dm1'],
    ],
    ask: (port) => askUdp(port, quake),
    hasSaved: (folder) => existsSync(`${folder}/baseoa/games.log`),
    status: 1,
  },
  'Luanti (Minetest), which reads its port from a file and saves at SIGTERM': {
    needs: ['/usr/games/minetestserver'],
    debianPackages: 'minetest-server',
    flags: (folder) => [...udp, '--property', `${folder}/minetest.conf:port={SERVER_PORT}`],
    args: (folder) => [
      ...['--config', `${folder}/minetest.conf`, '--world', `${folder}/world`],
      ...['--gameid', 'minetest', '--logfile', `${folder}/minetest.log`],
    ],
    // Protocol id, no peer yet, channel 0, a reliable packet with the first sequence number.
    ask: (port) => askUdp(port, Buffer.from('4f457403000000030000ff', 'hex')),
    hasSaved: (folder) => existsSync(`${folder}/world/env_meta.txt`),
    status: 0,
  },
  'Freeciv, which is saved on its console': {
    needs: ['/usr/games/freeciv-server'],
    debianPackages: 'freeciv-server',
    flags: () => [
      ...[...tcp, '--ready', 'log:Now accepting new client connections'],
      ...['--warn', 'stdin:wall closing in {SECONDS_LEFT} s', '--stop', 'stdin:save end', '--stop', 'stdin:quit'],
    ],
    args: (folder) => ['--port', '{SERVER_PORT}', '--saves', folder],
    isNotForRoot: true,
    hasSaved: (folder) => readdirSync(folder).some((file) => file.startsWith('end.sav')),
    status: 0,
  },
  'OpenTTD, which is stopped on its console and binds before its map is there': {
    needs: ['/usr/games/openttd', '/usr/share/games/openttd/baseset/opengfx'],
    debianPackages: 'openttd openttd-opengfx',
    flags: () => [
      ...['--ready', 'log:starting game', '--warn', 'stdin:say "closing in {SECONDS_LEFT} s"'],
      ...['--stop', 'stdin:save end', '--stop', 'stdin:quit'],
    ],
    args: (folder) => ['-D', '0.0.0.0:{SERVER_PORT}', '-c', `${folder}/openttd.cfg`, '-g'],
    hasSaved: (folder, { output, plain }) =>
      existsSync(`${folder}/save/end.sav`) && output.concat(plain).some((line) => line.includes('closing in')),
    status: 0,
  },
  'Armagetron Advanced, which has its port in a file among others': {
    needs: ['/usr/games/armagetronad-dedicated.real'],
    debianPackages: 'armagetronad-dedicated',
    flags: (folder) => {
      mkdirSync(`${folder}/config`);
      writeFileSync(`${folder}/port.cfg`, 'SERVER_PORT {SERVER_PORT}\nTALK_TO_MASTER 0\n');
      const template = ['--template', `${folder}/port.cfg:${folder}/config/autoexec.cfg`];
      return [
        ...udp,
        ...template,
        '--warn',
        'stdin:CONSOLE_MESSAGE closing in {SECONDS_LEFT} s',
        '--stop',
        'stdin:QUIT',
      ];
    },
    args: (folder) => [
      ...['--datadir', '/usr/share/games/armagetronad', '--configdir', '/etc/armagetronad'],
      ...['--userdatadir', `${folder}/data`, '--userconfigdir', `${folder}/config`],
    ],
    hasSaved: (_, { output }) => output.some((line) => line.includes('closing in')),
    status: 0,
  },
  BZFlag: {
    needs: ['/usr/games/bzfs'],
    debianPackages: 'bzflag-server',
    flags: () => ['--port', 'SERVER_PORT=udp+tcp'],
    args: () => ['-p', '{SERVER_PORT}', '-d'],
    ask: (port) => askTcp(port, Buffer.from('BZFLAG\r\n\r\n')),
    hasSaved: (_, { output }) => output.some((line) => line.includes('Shutting down server')),
    status: 0,
  },
  'Crossfire, which writes down its clock at the end': {
    needs: ['/usr/sbin/crossfire-server'],
    debianPackages: 'crossfire-server',
    flags: () => tcp,
    args: (folder) => ['-p', '{SERVER_PORT}', '-local', folder],
    isNotForRoot: true,
    ask: (port) => askTcp(port, Buffer.alloc(0)),
    hasSaved: (folder) => existsSync(`${folder}/clockdata`),
    status: 143,
  },
  'The Battle for Wesnoth': {
    needs: ['/usr/games/wesnothd-1.16'],
    debianPackages: 'wesnoth-1.16-server',
    flags: () => tcp,
    args: () => ['--port', '{SERVER_PORT}'],
    ask: (port) => askTcp(port, Buffer.alloc(4)),
    status: 143,
  },
  'Cube 2 (Sauerbraten), which takes the next port unasked': {
    needs: ['/usr/games/cube2-server'],
    debianPackages: 'cube2-server',
    flags: () => ['--port', 'SERVER_PORT=udp*2', '--ready', 'bound:SERVER_PORT,SERVER_PORT_2'],
    args: () => ['-j{SERVER_PORT}', '-m'],
    ask: (port) => askUdp(port + 1, Buffer.from([1, 1, 1])),
    status: 143,
  },
};

function missing({ needs, debianPackages }: RealGame): string | false {
  const path = needs.find((file) => !existsSync(file));
  return path === undefined ? false : `needs ${path} (Debian: apt-get install ${debianPackages})`;
}

const asNobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];

suite('A real game server starts, is ready, hears of an interruption, saves and ends in a wrapper:', parallel, () => {
  for (const [name, game] of Object.entries(games))
    test(name, { skip: missing(game) }, async (t) => {
      const folder = temporaryFolder(t);
      chmodSync(folder, 0o777);
      const isRoot = process.getuid?.() === 0;
      const command = [...(game.isNotForRoot === true && isRoot ? asNobody : []), ...game.needs.slice(0, 1)];
      const agent = await FakeAgent.listen(t);
      const env = { HOME: folder, XDG_DATA_HOME: folder, LINK: agent.path };
      const wrapper = new WrapperProcess(t, game.flags(folder), [...command, ...game.args(folder)], {
        env,
        cwd: folder,
      });
      await wrapper.said('Game ready');
      const { SERVER_PORT = 0 } = (await wrapper.said('Ports leased'))['ports'] as Record<string, number>;
      await game.ask?.(SERVER_PORT);
      const [deadline, end_by] = [60_000, 50_000].map((ms) => new Date(Date.now() + ms).toISOString());
      agent.tell({
        ...{ type: 'interruption', id: 'i-1/spot-termination', kind: 'spot-termination', action: 'terminate' },
        ...{ deadline: deadline ?? null, end_by: end_by ?? null },
      });
      assert.equal(await wrapper.status(), game.status, wrapper.output.concat(wrapper.plain).slice(-20).join('\n'));
      assert.ok(wrapper.hasSaid('Game told') && !wrapper.hasSaid('Game killed'));
      assert.ok(game.hasSaved?.(folder, wrapper) ?? true, `nothing was saved among ${readdirSync(folder).join()}`);
      const names = agent.names().filter((event) => event !== 'heartbeat');
      assert.deepEqual(names, ['starting', 'ready', 'terminating', 'terminated']);
      assert.ok(!isAliveAndNoZombie(Number((await wrapper.said('Game started'))['pid'])));
    });
});
