import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { InventoryEvent } from '../../../shared/events/event.ts';
import { decodeWrapperLine } from '../../../shared/link/decode-line.ts';
import { LineDecoder } from '../../../shared/link/line-decoder.ts';
import {
  type AgentMessage,
  encodeLine,
  type HelloMessage,
  type InterruptionMessage,
  type Occupancy,
  type StateMessage,
} from '../../../shared/link/link-message.ts';
import { type Instance, unknownInstance } from '../../../shared/metadata/instance.ts';
import { type Afterwards, eventually, temporaryFolder } from './wrapper-process.ts';

export interface FakeAgentOptions {
  readonly publishes?: boolean;
  /** Whether events are acknowledged as they come. */
  readonly acknowledges?: boolean;
  readonly instance?: Instance;
  /** Whether it welcomes each connection at once; an older agent waits for the hello. */
  readonly speaksFirst?: boolean;
  /** How long it takes to say anything at all, as on a node whose cores are all busy. */
  readonly speaksAfterMs?: number;
  /** How long it takes to find out who said hello. */
  readonly verdictMs?: number;
  /** Sent before the first welcome. */
  readonly interruption?: InterruptionMessage;
  /** Where to listen; a socket of its own when not given. */
  readonly path?: string;
}

/** What a node's agent does on its end of the link, told by the test. */
export class FakeAgent {
  readonly path: string;
  readonly hellos: HelloMessage[] = [];
  readonly states: string[] = [];
  /** All that it said of itself, newest last. */
  readonly said: StateMessage[] = [];
  /** What it said of whether anybody plays, each change once. */
  readonly occupancies: (Occupancy | undefined)[] = [];
  readonly events: InventoryEvent[] = [];
  readonly #sockets = new Set<Socket>();
  #hangs = false;
  readonly #greeted = new Set<Socket>();
  readonly #options: FakeAgentOptions;
  readonly #server = createServer((socket) => this.#accept(socket));

  private constructor(path: string, options: FakeAgentOptions) {
    this.path = path;
    this.#options = options;
  }

  static async listen(t: Afterwards, options: FakeAgentOptions = {}): Promise<FakeAgent> {
    const agent = new FakeAgent(options.path ?? join(temporaryFolder(t), 'link'), options);
    agent.#server.listen({ path: agent.path });
    await once(agent.#server, 'listening');
    t.after(() => agent.close());
    return agent;
  }

  tell(message: AgentMessage): void {
    this.write(encodeLine(message));
  }

  write(text: string): void {
    for (const socket of this.#sockets) socket.write(text);
  }

  acknowledge(...events: InventoryEvent[]): void {
    this.tell({ type: 'published', ids: events.map(({ id }) => id) });
  }

  /** The first event of this type. */
  event(name: string): Promise<InventoryEvent> {
    return eventually(`the agent gets ${name}; it got ${this.names().join()}`, () =>
      this.events.find(({ type }) => type === `dev.spotable.gameserver.${name}.v1`),
    );
  }

  names(): string[] {
    return this.events.map(({ type }) => type.split('.').at(-2) ?? '');
  }

  /** From now on it answers nobody; the kernel still takes connections and messages for it. */
  hang(): void {
    this.#hangs = true;
  }

  /** Ends every connection and stops listening, as a dying agent does. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.#hangs) return;
    const { speaksAfterMs = 0 } = this.#options;
    if (speaksAfterMs === 0) this.#attend(socket);
    else setTimeout(() => this.#attend(socket), speaksAfterMs);
  }

  #attend(socket: Socket): void {
    const lines = new LineDecoder();
    if (this.#options.speaksFirst ?? true) socket.write(this.#news() + this.#welcome(false));
    socket.on('data', (chunk: Buffer) => {
      if (this.#hangs) return;
      for (const line of lines.push(chunk)) this.#take(line, socket);
    });
  }

  #news(): string {
    const { interruption } = this.#options;
    return interruption === undefined ? '' : encodeLine(interruption);
  }

  #welcome(publishes: boolean): string {
    const { instance = unknownInstance } = this.#options;
    return encodeLine({ type: 'welcome', version: 1, publishes, node: 'node-1', instance });
  }

  #take(line: string, socket: Socket): void {
    const decoded = decodeWrapperLine(line);
    if (decoded.kind !== 'message') throw new Error(`The wrapper sent ${line}`);
    const { message } = decoded;
    if ((message.type === 'hello') === this.#greeted.has(socket))
      throw new Error(`Not hello first and once: the wrapper sent ${line}`);
    const { publishes = true, acknowledges = true, speaksFirst = true, verdictMs = 0 } = this.#options;
    switch (message.type) {
      case 'hello': {
        this.hellos.push(message);
        this.#greeted.add(socket);
        if (!speaksFirst) socket.write(this.#news() + this.#welcome(publishes));
        else if (verdictMs === 0) socket.write(this.#welcome(publishes));
        else setTimeout(() => socket.write(this.#welcome(publishes)), verdictMs);
        break;
      }
      case 'state':
        this.states.push(message.state);
        this.said.push(message);
        if (message.occupancy !== this.occupancies.at(-1)) this.occupancies.push(message.occupancy);
        break;
      case 'event':
        this.events.push(message.event);
        if (acknowledges) this.acknowledge(message.event);
        break;
    }
  }
}
