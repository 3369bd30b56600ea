import { readFile } from 'node:fs/promises';

/** The other end of a connection to us, on this machine. */
export interface Peer {
  /** As Node writes it: `127.0.0.1`, `::1`. */
  readonly address: string;
  readonly port: number;
  /** The port of ours that it has reached. */
  readonly localPort: number;
}

export function peerKey({ port, localPort }: Peer): string {
  return `${port}>${localPort}`;
}

/** As the kernel numbers TCP states: other ends than an established one have no process any more, or none yet. */
const established = '01';

/**
 * Finds the peers' own sockets in a table of /proc/net (`tcp`, `tcp6`): the rows whose local end is the peer's port and whose remote end is
 * ours. Adds their inode numbers to `found` by {@link peerKey}. Both ends of a loopback connection stand in the table, each in a row of
 * its own; an IPv6 socket that talks to 127.0.0.1 stands in `tcp6`.
 */
export function findPeers(table: string, wanted: ReadonlySet<string>, found: Map<string, number>): void {
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', remote = '', state, , , , , , inode] = line.trim().split(/\s+/);
    if (state !== established || !isLoopback(local) || !isLoopback(remote)) continue;
    const key = `${portOf(local)}>${portOf(remote)}`;
    if (wanted.has(key)) found.set(key, Number(inode));
  }
}

/** Inode numbers of the peers' sockets, by {@link peerKey}. */
export async function readPeerInodes(peers: readonly Peer[]): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const wanted = new Set(peers.map(peerKey));
  // Read beside the event loop: the kernel walks all buckets of its hash table for it, which takes up to 5 ms on a large machine.
  for (const path of tablesFor(peers)) {
    findPeers(await readTable(path), wanted, found);
    if (found.size === wanted.size) break;
  }
  return found;
}

function tablesFor(peers: readonly Peer[]): readonly string[] {
  const isAllOfIpv6 = peers.every(({ address }) => address === '::1');
  return isAllOfIpv6 ? ['/proc/net/tcp6'] : ['/proc/net/tcp', '/proc/net/tcp6'];
}

async function readTable(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1');
  } catch {
    // No IPv6, or no /proc at all: nobody is found then.
    return '';
  }
}

/** 127.0.0.0/8, ::1 and IPv4 in IPv6, as the kernel writes them: words of 32 bits in the machine's byte order, which is little-endian. */
function isLoopback(end: string): boolean {
  const address = end.slice(0, end.indexOf(':'));
  return /^(?:0{16}FFFF0{4})?.{6}7F$/.test(address) || address === '00000000000000000000000001000000';
}

function portOf(end: string): number {
  return Number.parseInt(end.slice(end.indexOf(':') + 1), 16);
}
