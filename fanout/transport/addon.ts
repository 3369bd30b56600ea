import { errorText } from '../../shared/log.ts';

/** The functions of native/fanout.c. `Sockets` is opaque. Negative results are -errno. */
export interface Addon {
  readonly version: number;
  open(
    records: Int32Array,
    sends: Int32Array,
    onReadable: () => void,
    host: string,
    port: number,
    isShared: boolean,
    maxPeers: number,
    maxUpstreams: number,
    gsoMaxBytes: number,
  ): Sockets | number;
  receive(sockets: Sockets): number;
  flush(sockets: Sockets, count: number): number;
  find(sockets: Sockets, slot: number): number;
  address(sockets: Sockets, slot: number): string;
  openPeer(sockets: Sockets, slot: number): number;
  isolate(sockets: Sockets, peer: number): number;
  closePeer(sockets: Sockets, peer: number): void;
  openUpstream(sockets: Sockets, address: string, port: number, localAddress: string): number;
  closeUpstream(sockets: Sockets, upstream: number): void;
  mute(sockets: Sockets, upstream: number, isMuted: boolean, sampling: number): number;
  bytes(sockets: Sockets, slot: number): Buffer;
  sendBytes(sockets: Sockets, peer: number, bytes: Buffer): number;
  port(sockets: Sockets): number;
  close(sockets: Sockets): void;
}

declare const opaque: unique symbol;
export interface Sockets {
  readonly [opaque]: true;
}

export type LoadedAddon = { readonly addon: Addon } | { readonly reason: string };

const supportedVersion = 2;

/**
 * Loads the addon, or returns the reason why it cannot be used: not built, built for another libc or processor, or
 * another version.
 */
export function loadAddon(file: string): LoadedAddon {
  try {
    // Not require(): the bundler would try to resolve it.
    const loaded = { exports: {} as Addon };
    process.dlopen(loaded, file);
    const addon = loaded.exports;
    if (addon.version === supportedVersion) return { addon };
    return { reason: `${file} has version ${addon.version}, expected ${supportedVersion}` };
  } catch (error) {
    return { reason: errorText(error) };
  }
}
