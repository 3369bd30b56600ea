import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { skipped, startProxy, startReplica, transports, until, upstreamAt } from './proxy-harness.ts';

/** Debian's package teeworlds-server. */
const program = '/usr/games/teeworlds-server';

interface Server {
  readonly port: number;
  child: ChildProcess;
}

async function run(port: number): Promise<ChildProcess> {
  const child = spawn(program, [`sv_port ${port}`, 'bindaddr 127.0.0.1', 'sv_register 0'], { stdio: 'ignore' });
  // Up once it answers a handshake.
  const client = new Client(port);
  await until(() => client.isAccepted, 'the game server answers', 20_000);
  client.close();
  return child;
}

async function startServer(): Promise<Server> {
  const free = await startReplica('free');
  free.stop();
  return { port: free.port, child: await run(free.port) };
}

async function kill({ child }: Server): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/**
 * A client of the game's own protocol (0.7), as far as being connected goes: asks for a token, connects with it, keeps
 * the connection alive. It says no more, so a server lets it go after ten seconds: each step of the test is shorter.
 * Control packets are 7 bytes of header (flags, acknowledgement, chunks, the receiver's token) and a message.
 */
class Client {
  readonly #socket: Socket = createSocket('udp4');
  readonly #token = Buffer.from([0x11, 0x22, 0x33, 0x44]);
  readonly #timer: NodeJS.Timeout;
  #serverToken: Buffer | undefined;
  isAccepted = false;
  /** Answers that carry our token, from a server that has taken us. */
  answers = 0;

  constructor(port: number) {
    this.#socket.on('error', () => {});
    this.#socket.on('message', (message) => this.#take(message));
    this.#socket.connect(port, '127.0.0.1');
    this.#timer = setInterval(() => this.#send(), 30);
  }

  /**
   * Forgets the server and begins anew, as the game does when the connection is lost: from the same port to the same
   * address.
   */
  reconnect(): void {
    this.#serverToken = undefined;
    this.isAccepted = false;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #send(): void {
    // The token and padding to 512 bytes: the game refuses to answer more than it was sent.
    const padded = Buffer.concat([this.#token, Buffer.alloc(508)]);
    if (this.#serverToken === undefined) this.#control(Buffer.from('ffffffff', 'hex'), 5, padded);
    else if (!this.isAccepted) this.#control(this.#serverToken, 1, padded);
    else this.#control(this.#serverToken, 0, Buffer.alloc(0));
  }

  #control(token: Buffer, message: number, rest: Buffer): void {
    this.#socket.send(Buffer.concat([Buffer.from([4, 0, 0]), token, Buffer.from([message]), rest]));
  }

  #take(packet: Buffer): void {
    if (packet.length < 8 || !packet.subarray(3, 7).equals(this.#token)) return;
    if (packet[7] === 5) this.#serverToken ??= Buffer.from(packet.subarray(8, 12));
    if (packet[7] === 2) this.isAccepted = true;
    if (this.isAccepted) this.answers++;
  }
}

// On one kind of sockets: the others' tests are faster, and this one is about the game.
const transport = transports.find((name) => name === 'native' && skipped(name) === false) ?? 'dgram';
test('a Teeworlds client stays connected while the other server is killed, and reconnects to the same address when its own is', {
  skip: existsSync(program) ? false : `no ${program}`,
}, async (t) => {
  const [one, two] = await Promise.all([startServer(), startServer()]);
  const upstreams = [upstreamAt(one.port), upstreamAt(two.port)];
  const proxy = await startProxy(transport, upstreams);
  const client = new Client(proxy.port);
  t.after(async () => {
    client.close();
    await proxy.stop();
    await Promise.all([kill(one), kill(two)]);
  });
  const plays = async () => {
    const before = client.answers;
    await until(() => client.answers > before + 1, 'the server answers the connected client');
  };
  const primaryIs = (id: string | undefined) =>
    proxy.log.findLast(({ msg }) => msg === 'Primary changed')?.['to'] === id;
  await until(() => client.isAccepted, 'the client is connected');
  await plays();
  assert.ok(primaryIs(upstreams[0]?.id));

  await kill(two);
  await until(() => proxy.log.some(({ condition }) => condition === 'refused'), 'the proxy has noticed');
  await plays();
  two.child = await run(two.port);
  await plays();
  assert.ok(primaryIs(upstreams[0]?.id), 'the primary has not moved');

  for (const [dies, lives] of [
    [one, 1],
    [two, 0],
  ] as const) {
    await kill(dies);
    // The other server knows no token of this one: the protocol allows no more than to connect again.
    await until(() => primaryIs(upstreams[lives]?.id), 'the primary moves');
    client.reconnect();
    await until(() => client.isAccepted, 'the client is connected again, at the same address');
    await plays();
    dies.child = await run(dies.port);
    const id = `127.0.0.1:${dies.port}`;
    const isOpenAgain = () =>
      proxy.log.findLast(({ replica, condition }) => replica === id && condition)?.['condition'] !== 'refused';
    await until(isOpenAgain, 'its port is known to be open again');
    await plays();
  }
});
