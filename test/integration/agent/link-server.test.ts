import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LinkServer, type LinkServerOptions } from '../../../agent/link/link-server.ts';
import type { Verdict } from '../../../agent/link/verify-hello.ts';
import { type Clock, systemClock } from '../../../shared/clock.ts';
import type { InventoryEvent } from '../../../shared/events/event.ts';
import type { Interruption } from '../../../shared/interruption/interruption.ts';
import { linkPath } from '../../../shared/link/link-address.ts';
import type { HelloMessage } from '../../../shared/link/link-message.ts';
import { silentLog } from '../../../shared/log.ts';
import { unknownInstance } from '../../../shared/metadata/instance.ts';
import { eventually } from './scene/eventually.ts';
import { PaperWrapper } from './scene/paper-wrapper.ts';

const interruption: Interruption = {
  id: 'i-1/spot-termination',
  kind: 'spot-termination',
  action: 'terminate',
  deadlineMs: Date.parse('2036-04-24T12:02:00Z'),
  firstSeenMs: Date.parse('2036-04-24T12:00:00Z'),
};
const endByMs = Date.parse('2036-04-24T12:01:55Z');
let addresses = 0;

class LinkScene implements AsyncDisposable {
  readonly address: string;
  readonly published: InventoryEvent[] = [];
  readonly lost: string[] = [];
  readonly server: LinkServer;
  readonly wrappers: PaperWrapper[] = [];
  readonly sockets: Socket[] = [];
  garbage = 0;
  readonly #trustsAll: boolean;
  readonly #stop = new AbortController();
  readonly #serving: Promise<void>;

  constructor(options: Partial<LinkServerOptions> = {}) {
    this.#trustsAll = options.verify === undefined;
    this.address = options.addresses?.[0] ?? `@spotable-link-${process.pid}-${++addresses}`;
    this.server = new LinkServer({
      addresses: [this.address],
      nodeName: 'n-1',
      log: silentLog,
      clock: systemClock,
      instance: () => ({ ...unknownInstance, instanceId: 'i-1' }),
      verify: async (): Promise<Verdict> => ({ kind: 'own-pod' }),
      namesPodOfNode: () => true,
      publish: (event) => this.published.push(event),
      listener: { onGarbage: () => this.garbage++, onLost: () => this.lost.push('lost'), onTerminated: () => {} },
      ...options,
    });
    this.#serving = this.server.serve(this.#stop.signal);
  }

  static async start(options: Partial<LinkServerOptions> = {}): Promise<LinkScene> {
    const scene = new LinkScene(options);
    await eventually('the link listens', () => scene.server.missingAddresses.length === 0);
    return scene;
  }

  async wrapper(name: string, returns = false): Promise<PaperWrapper> {
    const wrapper = new PaperWrapper(this.address, { namespace: 'arena', name, uid: `uid-${name}` }, returns);
    this.wrappers.push(wrapper);
    await wrapper.hears('welcome', ({ publishes }) => publishes || !this.#trustsAll);
    return wrapper;
  }

  async socket(): Promise<Socket> {
    const socket = connect({ path: linkPath(this.address) });
    this.sockets.push(socket);
    await once(socket, 'connect');
    socket.on('error', () => {});
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const wrapper of this.wrappers) wrapper.end();
    for (const socket of this.sockets) socket.destroy();
    this.#stop.abort();
    await this.#serving;
  }
}

describe('the link', () => {
  test('welcomes a wrapper with what it need not ask the metadata service', async () => {
    await using scene = await LinkScene.start();
    const wrapper = await scene.wrapper('a');
    const instance = { ...unknownInstance, instanceId: 'i-1' };
    const welcome = { type: 'welcome', version: 1, node: 'n-1', instance };
    assert.deepEqual(wrapper.all('welcome'), [
      { ...welcome, publishes: false },
      { ...welcome, publishes: true },
    ]);
  });

  test('welcomes whoever connects before they have said a word, and tells them of an interruption', async () => {
    await using scene = await LinkScene.start();
    scene.server.announce(interruption, endByMs);
    const early = await scene.socket();
    const [chunk] = (await once(early, 'data')) as [Buffer];
    const types = chunk
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).type);
    assert.deepEqual(types, ['interruption', 'welcome', 'alive']);
    scene.server.cancel(interruption);
    assert.match(String((await once(early, 'data'))[0]), /cancelled/);
  });

  test('says again and again that it lives, and how soon it will say so again', async () => {
    const pauses: number[] = [];
    const sleep: Clock['sleep'] = (ms, signal) => {
      pauses.push(ms);
      return systemClock.sleep(ms / 200, signal);
    };
    await using scene = await LinkScene.start({ clock: { ...systemClock, sleep } });
    const wrapper = await scene.wrapper('a');
    const isPause = ({ next_ms }: { readonly next_ms: number }) => pauses.includes(next_ms);
    await wrapper.hears('alive', isPause);
    const heard = wrapper.heard.length;
    await eventually('it lives on', () => wrapper.heard.length >= heard + 3);
  });

  test('tells every wrapper at once, and each that connects later before it is welcome', async () => {
    await using scene = await LinkScene.start();
    const early = await Promise.all(Array.from({ length: 50 }, (_, index) => scene.wrapper(`gs-${index}`)));
    const { told, firstMs, lastMs } = scene.server.announce(interruption, endByMs);
    assert.equal(told, 50);
    assert.ok(lastMs - firstMs < 100, `${lastMs - firstMs} ms`);
    for (const wrapper of early) assert.equal((await wrapper.hears('interruption')).end_by, '2036-04-24T12:01:55.000Z');
    const late = await scene.wrapper('late');
    assert.deepEqual(
      late.heard.map(({ message }) => message.type),
      ['interruption', 'welcome', 'alive', 'welcome'],
    );
    scene.server.cancel(interruption);
    assert.equal((await late.hears('cancelled')).id, interruption.id);
  });

  test('publishes the events of a verified wrapper and says which the queue has taken', async () => {
    await using scene = await LinkScene.start();
    const wrapper = await scene.wrapper('a');
    const event = wrapper.event('ready');
    wrapper.send({ type: 'event', event });
    await eventually('it is published', () => scene.published.length === 1);
    assert.deepEqual(scene.published, [event]);
    scene.server.published([event.id]);
    assert.deepEqual((await wrapper.hears('published')).ids, [event.id]);
    const second = wrapper.event('allocated');
    wrapper.send({ type: 'event', event: second });
    await eventually('it is published', () => scene.published.length === 2);
    scene.server.refused([{ id: second.id, reason: 'poison' }]);
    assert.deepEqual((await wrapper.hears('refused')).events, [{ id: second.id, reason: 'poison' }]);
  });

  test('tells a stranger of interruptions, and publishes nothing for it', async () => {
    await using scene = await LinkScene.start({ verify: async () => ({ kind: 'stranger', reason: 'no token' }) });
    const wrapper = await scene.wrapper('a');
    assert.equal(wrapper.all('welcome')[0]?.publishes, false);
    scene.server.announce(interruption, endByMs);
    await wrapper.hears('interruption');
    wrapper.send({ type: 'event', event: wrapper.event('ready') });
    assert.match((await wrapper.hears('error')).message, /has not proved/);
    assert.deepEqual(scene.published, []);
  });

  test('welcomes a wrapper again when it is verified later, and the first time without waiting for that', async () => {
    const decided = Promise.withResolvers<Verdict>();
    const verdicts: (Verdict | Promise<Verdict>)[] = [{ kind: 'unknown' }, decided.promise];
    await using scene = await LinkScene.start({
      verify: async () => verdicts.shift() ?? { kind: 'unknown' },
      random: () => 0,
    });
    const startMs = performance.now();
    const wrapper = await scene.wrapper('a');
    assert.ok(performance.now() - startMs < 500);
    assert.equal(wrapper.all('welcome')[0]?.publishes, false);
    decided.resolve({ kind: 'own-pod' });
    await wrapper.hears('welcome', ({ publishes }) => publishes);
  });

  test('lets no verified pod speak for the game server of another', async () => {
    await using scene = await LinkScene.start();
    await scene.wrapper('a');
    const thief = new PaperWrapper(scene.address, { namespace: 'arena', name: 'a', uid: 'uid-thief' }, false);
    scene.wrappers.push(thief);
    assert.equal((await thief.hears('welcome')).publishes, false);
    const honest = await scene.wrapper('b');
    honest.send({ type: 'event', event: honest.event('ready', { game_server_id: 'a.x' }) });
    assert.match((await honest.hears('error')).message, /not about this game server/);
    honest.send({ type: 'event', event: honest.event('ready', { pod: 'a' }) });
    await eventually('also refused', () => honest.all('error').some(({ message }) => message.includes('another pod')));
    assert.deepEqual(scene.published, []);
  });

  test('bounds what one wrapper can leave waiting', async () => {
    await using scene = await LinkScene.start();
    const wrapper = await scene.wrapper('a');
    for (let index = 0; index < 150; index++) wrapper.send({ type: 'event', event: wrapper.event('ready') });
    assert.match((await wrapper.hears('error')).message, /too many events wait/);
    assert.equal(scene.published.length, 100);
  });

  test('speaks for a wrapper that died without a word, and only then', async () => {
    await using scene = await LinkScene.start();
    const [killed, ended, back] = await Promise.all([
      scene.wrapper('killed'),
      scene.wrapper('ended'),
      scene.wrapper('back', true),
    ]);
    for (const wrapper of [killed, ended, back]) wrapper.send({ type: 'event', event: wrapper.event('ready') });
    ended.send({ type: 'event', event: ended.event('terminated') });
    await eventually('all are published', () => scene.published.length === 4);
    killed.end();
    ended.end();
    back.write('{"cut me off\n');
    await eventually('it came back', () => back.connections === 2);
    const lost = await eventually('one is lost', () => scene.published.find(({ data }) => data.status === 'lost'));
    assert.equal(lost.subject, 'killed.x');
    assert.equal(lost.data.sequence, 2);
    assert.equal(scene.lost.length, 1);
  });
});

describe('bad company on the link', () => {
  const garbage: readonly (readonly [string, string | Buffer])[] = [
    ['text that is no JSON', 'hello\n'],
    ['bytes that are no text', Buffer.concat([Buffer.from([0xff, 0xfe, 0x00, 0x80]), Buffer.from('\n')])],
    ['JSON that is no message', '[1,2,3]\n'],
    ['a hello with a wrong name', '{"type":"hello","version":1,"game_server_id":"../../x"}\n'],
    ['a hello with a wrong field', '{"type":"hello","version":1,"game_server_id":"x","token":5}\n'],
    ['a line of ten megabytes', Buffer.alloc(10_485_760, 'x')],
  ];
  for (const [name, bytes] of garbage)
    test(`${name} ends its own connection and no other`, async () => {
      await using scene = await LinkScene.start();
      const good = await scene.wrapper('good');
      const bad = (await scene.socket()).resume();
      const closed = new Promise((resolve) => bad.once('close', resolve));
      bad.write(bytes);
      await closed;
      assert.equal(scene.garbage, 1);
      scene.server.announce(interruption, endByMs);
      await good.hears('interruption');
      assert.equal(good.isConnected, true);
    });

  test('a message of a type from the future is answered, and nothing is closed', async () => {
    await using scene = await LinkScene.start();
    const wrapper = await scene.wrapper('a');
    wrapper.write('{"type":"teleport"}\n');
    assert.match((await wrapper.hears('error')).message, /teleport/);
    assert.equal(wrapper.isConnected, true);
  });

  test('a reader that stops reading is cut off, and delays nobody', async () => {
    await using scene = await LinkScene.start();
    const slow = await scene.wrapper('slow');
    const good = await scene.wrapper('good');
    slow.pause();
    for (let round = 0; round < 20_000; round++) {
      scene.server.announce({ ...interruption, id: `i-${round}` }, endByMs);
      // Both ends live in this process: the good reader needs its turns.
      if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await good.hears('interruption', ({ id }) => id === 'i-19999');
    await eventually('only the good one is left', () => scene.server.wrappers === 1);
  });

  test('a thousand connections that say nothing leave the wrappers untouched, and are closed', async () => {
    await using scene = await LinkScene.start();
    const good = await scene.wrapper('good');
    const silent = await Promise.all(Array.from({ length: 1000 }, async () => (await scene.socket()).resume()));
    const told = performance.now();
    scene.server.announce(interruption, endByMs);
    await good.hears('interruption');
    assert.ok(performance.now() - told < 1000);
    await eventually('they are closed', () => silent.every(({ closed }) => closed));
    assert.equal(good.isConnected, true);
  });

  test('strangers who said hello make room for wrappers, and do not count as told', async () => {
    const isOwn = ({ pod_uid: uid }: HelloMessage) => uid?.startsWith('uid-own') === true;
    await using scene = await LinkScene.start({
      namesPodOfNode: isOwn,
      verify: async (hello) => ({ kind: isOwn(hello) ? 'own-pod' : 'unknown' }),
    });
    const early = await scene.wrapper('own-early');
    const hello = (name: string) => `{"type":"hello","version":1,"game_server_id":"${name}","pod_uid":"x"}\n`;
    const strangers: Socket[] = [];
    while (strangers.length < 1100) {
      const socket = (await scene.socket()).resume();
      socket.write(hello(`stranger-${strangers.push(socket)}`));
    }
    const late = await scene.wrapper('own-late');
    assert.equal(scene.server.announce(interruption, endByMs).told, 2);
    for (const wrapper of [early, late]) await wrapper.hears('interruption');
    await eventually('the oldest strangers are closed', () => strangers.filter(({ closed }) => closed).length >= 78);
    assert.equal(early.isConnected && late.isConnected, true);
    assert.equal(scene.server.wrappers, 2);
  });

  test('a line about each stranger is not written: ten a minute, and a count', async () => {
    const lines: string[] = [];
    const log = { ...silentLog, warn: (_: object, message: string) => void lines.push(message) };
    await using scene = await LinkScene.start({ log });
    for (let index = 0; index < 30; index++) (await scene.socket()).write('garbage\n');
    await eventually('all are closed', () => scene.garbage === 30);
    assert.equal(lines.length, 10);
  });

  test('a flood of messages from one delays the others little', async () => {
    await using scene = await LinkScene.start();
    const good = await scene.wrapper('good');
    const flood = await scene.socket();
    const state = '{"type":"state","state":"ready"}\n'.repeat(1000);
    for (let round = 0; round < 100; round++) flood.write(state);
    const told = performance.now();
    scene.server.announce(interruption, endByMs);
    await good.hears('interruption');
    assert.ok(performance.now() - told < 2000);
  });
});

describe('the address of the link', () => {
  test('that an agent on its way out still holds is waited for', async () => {
    const first = await LinkScene.start();
    const second = new LinkScene({ addresses: [first.address] });
    await first[Symbol.asyncDispose]();
    await using _ = second;
    await eventually('the second listens', () => second.server.missingAddresses.length === 0);
  });

  test('that is a file left behind by a killed agent is taken over, and open to games of other users', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'link-'));
    try {
      const address = join(directory, 'agent.sock');
      await leaveSocketBehind(address);
      await using scene = await LinkScene.start({ addresses: [address] });
      assert.equal((await stat(address)).mode & 0o666, 0o666);
      await scene.wrapper('a');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  test('that cannot be had is said once, and taken as soon as it can be had', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'link-'));
    try {
      const address = join(directory, 'missing', 'agent.sock');
      const lines: string[] = [];
      const log = { ...silentLog, error: (_: object, message: string) => void lines.push(message) };
      await using scene = new LinkScene({ addresses: [address], log });
      await eventually('it is said', () => lines.length > 0);
      assert.deepEqual(scene.server.missingAddresses, [address]);
      await mkdir(join(directory, 'missing'));
      await eventually('it listens', () => scene.server.missingAddresses.length === 0);
      await scene.wrapper('a');
      assert.deepEqual(lines, ['Cannot listen on the link: draining without it']);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  test('may be several: each is served, whatever becomes of the others', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'link-'));
    try {
      const path = join(directory, 'agent.sock');
      await using holder = await LinkScene.start();
      await using scene = new LinkScene({ addresses: [path, holder.address] });
      await eventually('the path is served', () => scene.server.missingAddresses.length === 1);
      await scene.wrapper('a');
      assert.deepEqual(scene.server.missingAddresses, [holder.address]);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

/** What kill -9 leaves of a listener: a socket file that nobody answers. */
async function leaveSocketBehind(path: string): Promise<void> {
  const { spawnSync } = await import('node:child_process');
  const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', code]);
  assert.ok((await stat(path)).isSocket());
}
