import { readFileSync } from 'node:fs';

export interface BoundSocket {
  readonly protocol: 'udp' | 'tcp';
  readonly port: number;
  readonly inode: number;
  /** Bound to an address that only this machine can reach. */
  readonly isLoopback: boolean;
}

/** The kernel's number for the TCP state LISTEN in /proc/net/tcp: only a listening socket takes players. */
const listening = '0A';

/**
 * Parses a table of /proc/net (`udp`, `udp6`, `tcp`, `tcp6`) and keeps the sockets that are bound to one of the ports,
 * and for TCP are listening. A line: `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid
 * timeout inode ...`.
 */
export function parseSocketTable(
  table: string,
  protocol: 'udp' | 'tcp',
  ports: ReadonlySet<number>,
): readonly BoundSocket[] {
  const found: BoundSocket[] = [];
  for (const line of table.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, local = '', , state] = fields;
    const port = Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16);
    if (!ports.has(port) || (protocol === 'tcp' && state !== listening)) continue;
    found.push({ protocol, port, inode: Number(fields[9]), isLoopback: isLoopback(local) });
  }
  return found;
}

/** Sockets bound to these ports in our network namespace, IPv4 and IPv6. */
export function readBoundSockets(protocol: 'udp' | 'tcp', ports: ReadonlySet<number>): readonly BoundSocket[] {
  return ['', '6'].flatMap((version) =>
    parseSocketTable(readTable(`/proc/net/${protocol}${version}`), protocol, ports),
  );
}

/**
 * The listening addresses of this TCP port in our network namespace. The tables write an address as 32-bit words in the
 * machine's byte order, in hexadecimal.
 */
export function readListeningHosts(port: number): readonly string[] {
  return ['', '6'].flatMap((version) => parseListeningHosts(readTable(`/proc/net/tcp${version}`), port));
}

export function parseListeningHosts(table: string, port: number): readonly string[] {
  const hosts: string[] = [];
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', , state] = line.trim().split(/\s+/);
    const [address = '', hexPort = ''] = local.split(':');
    if (state === listening && Number.parseInt(hexPort, 16) === port) hosts.push(hostOf(address));
  }
  return hosts;
}

function hostOf(hexWords: string): string {
  const bytes = Buffer.from(hexWords, 'hex');
  if (isLittleEndian) bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * Whether an end (`ADDRESS:PORT`) is in 127.0.0.0/8, ::1 or IPv4 in IPv6. The kernel writes 32-bit words in the
 * machine's byte order, which is little-endian.
 */
export function isLoopback(end: string): boolean {
  const address = end.slice(0, end.indexOf(':'));
  return /^(?:0{16}FFFF0{4})?.{6}7F$/.test(address) || address === '00000000000000000000000001000000';
}

function readTable(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // The kernel has no IPv6, or there is no /proc.
    return '';
  }
}
