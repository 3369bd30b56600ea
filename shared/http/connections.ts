import { type AgentOptions, type ClientRequest, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';

/** Who a server must be, and who we are to it. */
export type TlsIdentity = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'servername' | 'rejectUnauthorized'
>;

/**
 * A connection that was dead for so long is not found out by the request that matters: nothing is kept longer than
 * that.
 */
const idleMs = 4000;

/** The TCP connection under a TLS one: only it can be reset. */
const underTls = new WeakMap<Duplex, Socket>();

/** `node:https` never offers HTTP/2. */
class TlsConnections extends HttpsAgent {
  /**
   * Made once: each one holds the parsed authorities in native memory, which the many attempts of an outage would pile
   * up.
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

/** Connections to one server, which are kept for the next request. */
export function keptConnections(protocol: string, tls: TlsIdentity): HttpAgent {
  const kept = { keepAlive: true, timeout: idleMs };
  return protocol === 'https:' ? new TlsConnections(tls, kept) : new HttpAgent(kept);
}

/**
 * Ends a request together with its connection, so that nothing of it is sent any more. A connection that is only closed
 * still sends what the kernel has of it, and goes on trying for minutes: an eviction would arrive when nobody wants it
 * any more.
 */
export function abandon(request: ClientRequest, reason: Error): void {
  // Over already: its connection may be another request's.
  if (request.destroyed) return;
  const { socket } = request;
  // While an end is under way libuv refuses to reset, and Node then keeps the handle for ever (24.21: its exit spins).
  if (socket !== null && !socket.writableEnded) {
    const raw = underTls.get(socket) ?? ('encrypted' in socket ? undefined : socket);
    if (raw !== undefined && !raw.connecting && !raw.destroyed && !raw.writableEnded) raw.resetAndDestroy();
  }
  request.destroy(reason);
}

/** Closes those that wait for a request. `isLast`: those under way are not kept either. */
export function dropIdle(agent: HttpAgent, isLast = false): void {
  if (isLast) agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
