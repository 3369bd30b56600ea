import { close, open, read } from 'node:fs';
import { isLoopback } from '../../game/socket-table.ts';

/** The peer's end of a connection to us, on this machine. */
export interface Peer {
  /** As Node writes addresses: `127.0.0.1`, `::1`. */
  readonly address: string;
  readonly port: number;
  /** The port of ours that the peer connected to. */
  readonly localPort: number;
}

export function peerKey({ port, localPort }: Peer): string {
  return `${port}>${localPort}`;
}

/**
 * The kernel's number for the TCP state ESTABLISHED. In other states the peer's end belongs to no process any more, or
 * to none yet.
 */
const established = '01';
/** Long enough for a row up to the inode, in IPv6 too. */
const maxRow = 200;

/**
 * Finds the peers' own sockets in a table of /proc/net (`tcp`, `tcp6`): the rows whose local end is the peer's port and
 * whose remote end is ours. Adds their inode numbers to `found` by {@link peerKey}. The table has one row for each end
 * of a loopback connection. An IPv6 socket that talks to 127.0.0.1 is in `tcp6`.
 */
export function findPeers(table: string, wanted: ReadonlySet<string>, found: Map<string, number>): void {
  const ports = new Set([...wanted].map((key) => Number.parseInt(key, 10).toString(16).toUpperCase().padStart(4, '0')));
  // A node with many players has thousands of rows: parse only those that contain one of the ports.
  for (let start = 0; start < table.length; start = table.indexOf('\n', start) + 1 || table.length) {
    const localEnd = table.indexOf(' ', table.indexOf(': ', start) + 2);
    if (ports.has(table.slice(localEnd - 4, localEnd))) readRow(table.slice(start, start + maxRow), wanted, found);
  }
}

function readRow(row: string, wanted: ReadonlySet<string>, found: Map<string, number>): void {
  const [, local = '', remote = '', state, , , , , , inode] = row.trim().split(/\s+/);
  const key = `${portOf(local)}>${portOf(remote)}`;
  if (state === established && wanted.has(key) && isLoopback(local) && isLoopback(remote))
    found.set(key, Number(inode));
}

/** Inode numbers of the peers' sockets, by {@link peerKey}. */
export async function readPeerInodes(peers: readonly Peer[]): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const wanted = new Set(peers.map(peerKey));
  const isComplete = () => found.size === wanted.size;
  for (const path of tablesFor(peers)) {
    if (isComplete()) break;
    await readRows(path, (rows) => {
      findPeers(rows, wanted, found);
      return isComplete();
    });
  }
  return found;
}

function tablesFor(peers: readonly Peer[]): readonly string[] {
  const isAllOfIpv6 = peers.every(({ address }) => address === '::1');
  return isAllOfIpv6 ? ['/proc/net/tcp6'] : ['/proc/net/tcp', '/proc/net/tcp6'];
}

const chunkBytes = 65_536;

/**
 * Reads a table off the event loop: the kernel walks all buckets of its hash table, which takes up to 5 ms on a large
 * machine. Each read returns a page of whole rows. Use callbacks, because a promise for each of a hundred pages costs
 * more than the page.
 */
function readRows(path: string, isEnough: (rows: string) => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  open(path, (missing, file) => {
    // Without IPv6, or without /proc, no peer is found.
    if (missing !== null) return resolve();
    const buffer = Buffer.allocUnsafe(chunkBytes);
    const readOn = () =>
      read(file, buffer, 0, chunkBytes, null, (error, bytes) => {
        if (error === null && bytes > 0 && !isEnough(buffer.toString('latin1', 0, bytes))) return readOn();
        close(file, () => resolve());
      });
    readOn();
  });
  return promise;
}

function portOf(end: string): number {
  return Number.parseInt(end.slice(end.indexOf(':') + 1), 16);
}
