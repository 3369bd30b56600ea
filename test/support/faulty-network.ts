import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** The fault for a connection's bytes. */
export type NetworkFault =
  /** Everything passes. */
  | { readonly kind: 'none' }
  /**
   * Nothing passes and neither side notices: bytes and ends are held until the fault is over, like packets that are
   * retransmitted again and again.
   */
  | { readonly kind: 'silent' }
  /** Everything passes later. */
  | { readonly kind: 'delay'; readonly delayMs: number };

type Delivery =
  | { readonly kind: 'data'; readonly chunk: Buffer }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' };

/** More than any test sends while a connection is held. */
const maxHeldBytes = 64 * 1024 * 1024;

/** One direction of a connection. */
class Direction {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #queue: (Delivery & { readonly dueMs: number })[] = [];
  #fault: NetworkFault = { kind: 'none' };
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.on('data', (chunk: Buffer) => this.#push({ kind: 'data', chunk }));
    from.on('end', () => this.#push({ kind: 'end' }));
    from.on('error', () => {
      // A reset discards what its sender's kernel still had to send.
      this.#queue.length = 0;
      this.#push({ kind: 'reset' });
    });
  }

  set fault(fault: NetworkFault) {
    this.#fault = fault;
    this.#deliver();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #push(delivery: Delivery): void {
    const dueMs = this.#fault.kind === 'delay' ? performance.now() + this.#fault.delayMs : 0;
    if (delivery.kind === 'data') this.#heldBytes += delivery.chunk.length;
    if (this.#heldBytes > maxHeldBytes) throw new Error(`Cannot hold more than ${maxHeldBytes} bytes of a connection`);
    this.#queue.push({ ...delivery, dueMs });
    this.#deliver();
  }

  #deliver(): void {
    clearTimeout(this.#timer);
    if (this.#fault.kind === 'silent') return;
    for (let [next] = this.#queue; next !== undefined; [next] = this.#queue) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#deliver(), waitMs);
        return;
      }
      this.#queue.shift();
      this.#act(next);
    }
  }

  #act(delivery: Delivery): void {
    switch (delivery.kind) {
      case 'data':
        this.#heldBytes -= delivery.chunk.length;
        if (this.#to.destroyed || this.#to.write(delivery.chunk)) return;
        this.#from.pause();
        this.#to.once('drain', () => this.#from.resume());
        return;
      case 'end':
        this.#to.end();
        return;
      case 'reset':
        reset(this.#to);
    }
  }
}

/** One connection through the network. */
export class FaultyConnection {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #directions: readonly Direction[];

  constructor(client: Socket, targetPort: number) {
    this.#client = client;
    this.#server = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    this.#directions = [new Direction(client, this.#server), new Direction(this.#server, client)];
  }

  /** Whether the client still holds the connection. */
  get isOpen(): boolean {
    return !this.#client.destroyed;
  }

  /** Called when both ends are closed. */
  onClosed(listener: () => void): void {
    const look = (): void => {
      if (this.#client.destroyed && this.#server.destroyed) listener();
    };
    this.#client.once('close', look);
    this.#server.once('close', look);
  }

  set fault(fault: NetworkFault) {
    for (const direction of this.#directions) direction.fault = fault;
  }

  reset(): void {
    for (const direction of this.#directions) direction.stop();
    reset(this.#client);
    reset(this.#server);
  }
}

/** A loopback port that leads to another one through a network that can fail. */
export class FaultyNetwork implements AsyncDisposable {
  readonly #server: Server;
  readonly #connections = new Set<FaultyConnection>();
  #isRefusing = false;
  #fault: NetworkFault = { kind: 'none' };
  #accepted = 0;

  private constructor(targetPort: number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client, targetPort));
  }

  static async start(targetPort: number): Promise<FaultyNetwork> {
    const network = new FaultyNetwork(targetPort);
    network.#server.listen(0, '127.0.0.1');
    await once(network.#server, 'listening');
    return network;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections still held by their clients, oldest first. */
  get connections(): readonly FaultyConnection[] {
    return [...this.#connections].filter(({ isOpen }) => isOpen);
  }

  /** Number of connections ever accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Holds every byte back, on old connections and new ones, and neither side notices. */
  silence(): void {
    this.#apply({ kind: 'silent' });
  }

  /**
   * Existing connections go dead silently and new ones work, as if a conntrack table was emptied or one server of
   * several is gone.
   */
  killExisting(): void {
    for (const connection of this.#connections) connection.fault = { kind: 'silent' };
  }

  delay(delayMs: number): void {
    this.#apply({ kind: 'delay', delayMs });
  }

  /**
   * Resets every connection, and each new one as soon as it is accepted. The port stays bound, because another process
   * could take it meanwhile.
   */
  refuse(): void {
    this.#isRefusing = true;
    this.reset();
  }

  /** Resets all existing connections. */
  reset(): void {
    for (const connection of this.#connections) connection.reset();
  }

  /** Everything passes again, held data first. */
  restore(): void {
    this.#isRefusing = false;
    this.#apply({ kind: 'none' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.reset();
    await closed;
  }

  #apply(fault: NetworkFault): void {
    this.#fault = fault;
    for (const connection of this.#connections) connection.fault = fault;
  }

  #accept(client: Socket, targetPort: number): void {
    this.#accepted++;
    // A reset raises an error here, which would be thrown without a listener. The connection's direction handles it.
    client.on('error', () => {});
    if (this.#isRefusing) {
      reset(client);
      return;
    }
    const connection = new FaultyConnection(client, targetPort);
    connection.fault = this.#fault;
    this.#connections.add(connection);
    connection.onClosed(() => this.#connections.delete(connection));
  }
}

/**
 * libuv refuses to reset while an end is under way, and Node then keeps the handle for ever: its exit would spin (Node
 * 24.21).
 */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
