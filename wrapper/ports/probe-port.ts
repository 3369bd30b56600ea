import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { PortProtocol } from '../../shared/events/event.ts';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { hasCode } from '../../shared/system-error.ts';

export type Probe = (port: number, protocol: PortProtocol) => Promise<PortProbe>;
export type PortProbe = 'free' | 'busy' | 'forbidden';

/**
 * Binds the port and releases it: on the IPv6 wildcard, whose dual-stack socket conflicts with every address of both
 * families. Probe each protocol separately: TCP can bind a port that UDP has taken.
 */
export const probePort: Probe = async (port, protocol) => {
  const results = await Promise.all([
    protocol === 'tcp' ? 'free' : bindUdp(port),
    protocol === 'udp' ? 'free' : bindTcp(port),
  ] as const);
  return results.find((result) => result !== 'free') ?? 'free';
};

async function bindUdp(port: number): Promise<PortProbe> {
  const result = await bindUdpOf(port, 'udp6', '::');
  if (result !== 'no-such-family') return result;
  const older = await bindUdpOf(port, 'udp4', '0.0.0.0');
  return older === 'no-such-family' ? 'busy' : older;
}

function bindUdpOf(port: number, type: 'udp4' | 'udp6', address: string): Promise<PortProbe | 'no-such-family'> {
  const { promise, resolve, reject } = Promise.withResolvers<PortProbe | 'no-such-family'>();
  // An address needs no DNS; without this `lookup` Node loads its DNS client, for 5 ms and a mebibyte.
  const socket = createSocket({ type, lookup: (host, _, done) => done(null, host, type === 'udp6' ? 6 : 4) });
  socket.once('error', (error) => {
    socket.close();
    if (hasCode(error, 'EAFNOSUPPORT', 'EADDRNOTAVAIL')) resolve('no-such-family');
    else settle(error, resolve, reject);
  });
  // `exclusive`: a Node cluster would share the port.
  socket.bind({ port, address, exclusive: true }, () => socket.close(() => resolve('free')));
  return promise;
}

function bindTcp(port: number): Promise<PortProbe> {
  const { promise, resolve, reject } = Promise.withResolvers<PortProbe>();
  const server = createServer((early) => early.destroy());
  server.once('error', (error) => settle(error, resolve, reject));
  // Without a host Node takes the IPv6 wildcard, or the IPv4 one on a machine without IPv6, and makes no DNS request.
  server.listen({ port, exclusive: true }, () => server.close(() => resolve('free')));
  return promise;
}

function settle(error: Error, resolve: (found: PortProbe) => void, reject: (reason: Error) => void): void {
  // This says nothing about the port, or about any other.
  if (hasCode(error, 'EMFILE', 'ENFILE'))
    reject(
      new FatalError(`Cannot look for a free port: ${error.message}; raise the limit (ulimit -n)`, {
        status: exitStatus.osError,
        cause: error,
      }),
    );
  else resolve(hasCode(error, 'EACCES', 'EPERM') ? 'forbidden' : 'busy');
}
