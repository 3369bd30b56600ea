import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { GameClients } from './game-clients.ts';
import type { GameOptions } from './game-options.ts';
import { GameWorld } from './game-world.ts';

const tickMs = 50;

/** A game server with one UDP socket, a console and a world to save. `say` gets its output, line by line. */
export class EchoGame {
  readonly #options: GameOptions;
  readonly #say: (line: string) => void;
  readonly #world: GameWorld;
  readonly #clients: GameClients = new GameClients();
  readonly #socket: Socket = createSocket('udp4');
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  #goingAt: string | undefined;
  #warnedOf: string | undefined;

  constructor(options: GameOptions, say: (line: string) => void) {
    this.#options = options;
    this.#say = say;
    this.#world = new GameWorld(options.name, options.players, Date.now());
  }

  /** Resolves when the world is saved. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Throws an Error if a port is taken. */
  async start(): Promise<void> {
    const { host, port, rconPort, bindDelayMs } = this.#options;
    setInterval(() => this.#world.step(), tickMs);
    await delay(bindDelayMs);
    this.#socket.on('message', (message, client) => {
      const answer = this.#answer(message, this.#clients.count(client, Date.now()));
      this.#socket.send(answer, client.port, client.address);
    });
    this.#socket.bind(port, host);
    await once(this.#socket, 'listening');
    // A reply that cannot be sent is lost.
    this.#socket.on('error', () => undefined);
    this.#say(`listening on udp ${host}:${this.#socket.address().port}`);
    if (rconPort !== undefined) await this.#serveConsole(rconPort);
  }

  /** Announces the deadline to the players once, and plays on. */
  warn(deadline: string): void {
    if (this.#warnedOf === deadline) return;
    this.#warnedOf = deadline;
    const told = this.#clients.tell(this.#socket, `warning ${deadline}`, Date.now());
    this.#say(`players warned (${told} connected): this server closes by ${deadline}`);
  }

  /** Tells the clients, saves, and ends. */
  async end(why: string): Promise<void> {
    if (this.#goingAt !== undefined) return;
    const { saveMs } = this.#options;
    this.#goingAt = new Date(Date.now() + saveMs).toISOString();
    const told = this.#clients.tell(this.#socket, `closing ${this.#goingAt}`, Date.now());
    this.#say(`${why}: closing, ${told} clients told, saving the world for ${saveMs} ms`);
    await delay(saveMs);
    this.#say(this.#save());
    this.#ended.resolve();
  }

  readConsole(input: Readable, answer: (text: string) => void): void {
    input.on('error', () => undefined);
    createInterface({ input }).on('line', (line) => answer(this.#command(line)));
  }

  #answer(message: Buffer, sequence: number): string | Buffer {
    if (message.toString('latin1').trim() === 'status') return this.#describe();
    return Buffer.concat([Buffer.from(`${sequence} `), message]);
  }

  #describe(): string {
    const nowMs = Date.now();
    const going = this.#goingAt ?? readDeadline(this.#options.deadlineFile);
    return this.#world.describe(this.#clients.countPresent(nowMs), going, nowMs);
  }

  #save(): string {
    const { saveFile } = this.#options;
    if (saveFile === undefined) return `world saved at tick ${this.#world.tick}`;
    try {
      writeFileSync(saveFile, this.#world.save());
      return `world saved to ${saveFile} at tick ${this.#world.tick}`;
    } catch (error) {
      return `world not saved: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #command(line: string): string {
    const [word = '', ...rest] = line.trim().split(' ');
    const text = rest.join(' ');
    switch (word) {
      case 'status':
        return this.#describe();
      case 'say':
        return `told ${this.#clients.tell(this.#socket, `say ${text}`, Date.now())} clients: ${text}`;
      case 'save-all':
        return this.#save();
      case 'stop':
        void this.end('stop');
        return 'stopping';
      default:
        return `unknown command: ${word}`;
    }
  }

  async #serveConsole(port: number): Promise<void> {
    const server = createServer((client) => this.readConsole(client, (answer) => client.write(`${answer}\n`)));
    server.listen(port, this.#options.host);
    await once(server, 'listening');
    const { port: bound } = server.address() as AddressInfo;
    this.#say(`console on tcp ${this.#options.host}:${bound}`);
  }
}

function readDeadline(file: string | undefined): string | null {
  if (file === undefined) return null;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null;
  }
}
