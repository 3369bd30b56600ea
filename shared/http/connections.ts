import { type AgentOptions, type ClientRequest, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';

/** The expected server, and our client certificate. */
export type TlsIdentity = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'servername' | 'rejectUnauthorized'
>;

/**
 * A kept connection may be dead, which the next request would have to find out. So none is kept for longer than this.
 */
const idleMs = 4000;

/** The TCP connection below each TLS connection: only TCP can be reset. */
const underTls = new WeakMap<Duplex, Socket>();

/** `node:https` never offers HTTP/2. */
class TlsConnections extends HttpsAgent {
  /**
   * Created once: each context holds the parsed authorities in native memory, which the many attempts of an outage
   * would accumulate.
   */
  readonly #secureContext: SecureContext;

  constructor({ servername, rejectUnauthorized, ...identity }: TlsIdentity, options: AgentOptions) {
    super({
      ...options,
      ...(servername !== undefined && { servername }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    });
    this.#secureContext = createSecureContext(identity);
  }

  override createConnection(options: object): Duplex {
    const raw = connect(options as NetConnectOpts);
    const secureContext = this.#secureContext;
    const socket = connectTls({
      ...(options as ConnectionOptions),
      secureContext,
      socket: raw,
      ALPNProtocols: ['http/1.1'],
    });
    underTls.set(socket, raw);
    return socket;
  }
}

/** Connections to one server, kept for the next request. */
export function keptConnections(protocol: string, tls: TlsIdentity): HttpAgent {
  const kept = { keepAlive: true, timeout: idleMs };
  return protocol === 'https:' ? new TlsConnections(tls, kept) : new HttpAgent(kept);
}

/**
 * Ends a request and resets its connection, so that nothing more is sent. After a mere close the kernel still sends its
 * buffer and retries for minutes: an eviction would arrive long after it was abandoned.
 */
export function abandon(request: ClientRequest, reason: Error): void {
  // The request is over. Its connection may already serve another one.
  if (request.destroyed) return;
  const { socket } = request;
  // libuv refuses to reset a connection that is being ended, and Node then keeps the handle forever (24.21: its exit
  // spins).
  if (socket !== null && !socket.writableEnded) {
    const raw = underTls.get(socket) ?? ('encrypted' in socket ? undefined : socket);
    if (raw !== undefined && !raw.connecting && !raw.destroyed && !raw.writableEnded) raw.resetAndDestroy();
  }
  request.destroy(reason);
}

/** Closes idle connections. `isLast`: connections in use are not kept afterwards either. */
export function dropIdle(agent: HttpAgent, isLast = false): void {
  if (isLast) agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
