import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { PortProtocol } from '../../shared/inventory/event.ts';
import { hasCode } from '../system-error.ts';

export type Probe = (port: number, protocol: PortProtocol) => Promise<PortProbe>;
export type PortProbe = 'free' | 'busy' | 'forbidden';

/**
 * Binds the port and lets it go again, on all addresses, IPv4 and IPv6. Each protocol needs its own look: TCP binds happily on a port that
 * UDP has taken.
 */
export const probePort: Probe = async (port, protocol) => {
  const binds: (() => Promise<PortProbe>)[] = [];
  if (protocol !== 'tcp')
    binds.push(
      () => bindUdp(port, 'udp4'),
      () => bindUdp(port, 'udp6'),
    );
  if (protocol !== 'udp')
    binds.push(
      () => bindTcp(port, '0.0.0.0'),
      () => bindTcp(port, '::'),
    );
  const results = await Promise.all(binds.map((bind) => bind()));
  return results.find((result) => result !== 'free') ?? 'free';
};

function bindUdp(port: number, type: 'udp4' | 'udp6'): Promise<PortProbe> {
  const { promise, resolve } = Promise.withResolvers<PortProbe>();
  const socket = createSocket({ type, ipv6Only: type === 'udp6' });
  socket.once('error', (error) => {
    socket.close();
    resolve(readFailure(error));
  });
  // `exclusive`: a Node cluster would share it.
  socket.bind({ port, address: type === 'udp4' ? '0.0.0.0' : '::', exclusive: true }, () =>
    socket.close(() => resolve('free')),
  );
  return promise;
}

function bindTcp(port: number, host: string): Promise<PortProbe> {
  const { promise, resolve } = Promise.withResolvers<PortProbe>();
  const server = createServer((early) => early.destroy());
  server.once('error', (error) => resolve(readFailure(error)));
  server.listen({ port, host, ipv6Only: host === '::', exclusive: true }, () => server.close(() => resolve('free')));
  return promise;
}

function readFailure(error: Error): PortProbe {
  // A machine without IPv6 has nothing there that could be in the way.
  if (hasCode(error, 'EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL')) return 'free';
  return hasCode(error, 'EACCES', 'EPERM') ? 'forbidden' : 'busy';
}
