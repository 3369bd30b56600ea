import type { RemoteInfo, Socket } from 'node:dgram';

const maxClients = 1024;
const forgetAfterMs = 10_000;

interface Client {
  address: string;
  port: number;
  answers: number;
  seenAtMs: number;
}

/** Recent clients, and the number of replies to each. */
export class GameClients {
  readonly #clients: Map<string, Client> = new Map();

  /** The number of this reply to the client, from 1. Beyond the bound, new clients get 0 and are not stored. */
  count({ address, port }: RemoteInfo, nowMs: number): number {
    const key = `${address} ${port}`;
    const known = this.#clients.get(key);
    if (known === undefined && this.#clients.size >= maxClients) this.#forget(nowMs);
    if (known === undefined && this.#clients.size >= maxClients) return 0;
    const client = known ?? { address, port, answers: 0, seenAtMs: nowMs };
    client.answers += 1;
    client.seenAtMs = nowMs;
    this.#clients.set(key, client);
    return client.answers;
  }

  countPresent(nowMs: number): number {
    this.#forget(nowMs);
    return this.#clients.size;
  }

  /** Returns the number of clients. */
  tell(socket: Socket, text: string, nowMs: number): number {
    this.#forget(nowMs);
    for (const { address, port } of this.#clients.values()) socket.send(text, port, address);
    return this.#clients.size;
  }

  #forget(nowMs: number): void {
    for (const [key, { seenAtMs }] of this.#clients) if (nowMs - seenAtMs > forgetAfterMs) this.#clients.delete(key);
  }
}
