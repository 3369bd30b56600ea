import { connect, type Socket } from 'node:net';
import type { GameServerData, InventoryEvent } from '../../../../shared/events/event.ts';
import { gameServerEvent } from '../../../../shared/events/event.ts';
import { decodeAgentLine } from '../../../../shared/link/decode-line.ts';
import { LineDecoder } from '../../../../shared/link/line-decoder.ts';
import { linkPath } from '../../../../shared/link/link-address.ts';
import {
  type AgentMessage,
  encodeLine,
  type HelloMessage,
  type WrapperMessage,
} from '../../../../shared/link/link-message.ts';
import { eventually } from './eventually.ts';

export interface PaperPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly token?: string;
}

/** The link of a wrapper without a game: says hello, keeps what it hears, and comes back when it is cut off. */
export class PaperWrapper {
  readonly heard: { readonly message: AgentMessage; readonly atMs: number }[] = [];
  readonly hello: HelloMessage;
  readonly #address: string;
  #socket: Socket | undefined;
  #isEnded = false;
  #sequence = 0;
  connections = 0;

  constructor(address: string, { namespace, name, uid, token }: PaperPod, returns = true) {
    this.#address = address;
    this.hello = {
      type: 'hello',
      version: 1,
      game_server_id: `${name}.x`,
      namespace,
      pod: name,
      pod_uid: uid,
      ports: {},
      ...(token !== undefined && { token }),
    };
    this.#connect(returns);
  }

  #connect(returns: boolean): void {
    const lines = new LineDecoder();
    const socket = connect({ path: linkPath(this.#address) });
    this.#socket = socket;
    socket.once('connect', () => {
      this.connections++;
      socket.write(encodeLine(this.hello));
    });
    socket.on('data', (chunk) => {
      for (const line of lines.push(chunk)) {
        const decoded = decodeAgentLine(line);
        if (decoded.kind === 'message') this.heard.push({ message: decoded.message, atMs: Date.now() });
      }
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      if (returns && !this.#isEnded) setTimeout(() => !this.#isEnded && this.#connect(returns), 20);
    });
  }

  all<T extends AgentMessage['type']>(type: T): readonly Extract<AgentMessage, { type: T }>[] {
    return this.heard.map(({ message }) => message).filter((message) => message.type === type) as Extract<
      AgentMessage,
      { type: T }
    >[];
  }

  /** The first message of that type that matches, as soon as it is there. */
  hears<T extends AgentMessage['type']>(
    type: T,
    matches: (message: Extract<AgentMessage, { type: T }>) => boolean = () => true,
  ): Promise<Extract<AgentMessage, { type: T }>> {
    const story = () => `wrapper ${this.hello.game_server_id} hears ${type}; it heard ${JSON.stringify(this.heard)}`;
    return eventually(story, () => this.all(type).find(matches));
  }

  send(message: WrapperMessage): void {
    this.#socket?.write(encodeLine(message));
  }

  /** An inventory event of this game server, with its next number. */
  event(status: GameServerData['status'], changes: Partial<GameServerData> = {}): InventoryEvent {
    const data: GameServerData = {
      ...{
        region: 'eu-west-1',
        zone: 'eu-west-1a',
        node: 'n-1',
        instance_id: null,
        instance_type: null,
        lifecycle: null,
      },
      ...{ public_hostname: 'h', public_port: 20_000, public_ip: null, type: 'game-server', labels: {}, players: null },
      ...{ deadline: null, reason: null, exit_code: null, lease_expires_at: '2036-01-01T00:00:00Z' },
      ports: { SERVER_PORT: { port: 20_000, protocol: 'udp' } },
      pod: this.hello.pod ?? null,
      namespace: this.hello.namespace ?? null,
      game_server_id: this.hello.game_server_id,
      status,
      sequence: ++this.#sequence,
      ...changes,
    };
    const ended = status === 'terminated' ? { ...data, lease_expires_at: null, exit_code: data.exit_code ?? 0 } : data;
    return gameServerEvent(status, ended, Date.now());
  }

  write(bytes: string | Buffer): void {
    this.#socket?.write(bytes);
  }

  get isConnected(): boolean {
    return this.#socket?.readyState === 'open';
  }

  /** Stops reading: what the agent sends piles up. */
  pause(): void {
    this.#socket?.pause();
  }

  end(): void {
    this.#isEnded = true;
    this.#socket?.destroy();
  }
}
