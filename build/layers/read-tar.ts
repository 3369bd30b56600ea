import type { FileHandle } from 'node:fs/promises';

export interface TarEntry {
  /** Where its content begins in the archive, in bytes. */
  readonly offset: number;
  readonly bytes: number;
}

const blockBytes = 512;
/** An image has a blob a layer and few more; a tar with more entries is something else. */
const maxEntries = 10_000;
const maxNameBytes = 65_536;

/**
 * Finds the files of a tar archive by reading its headers alone: what lies between them may be gigabytes. undefined where it is no
 * tar. Names longer than a header's field come from GNU's and PAX's own entries.
 */
export async function findInTar(file: FileHandle, size: number): Promise<ReadonlyMap<string, TarEntry> | undefined> {
  const entries = new Map<string, TarEntry>();
  let longName: string | undefined;
  for (let offset = 0, count = 0; offset + blockBytes <= size && count < maxEntries; count++) {
    const { buffer: header } = await file.read(Buffer.alloc(blockBytes), 0, blockBytes, offset);
    if (header.every((byte) => byte === 0)) break;
    if (!hasChecksum(header)) return undefined;
    const bytes = sizeOf(header);
    if (bytes === undefined) return undefined;
    const content = offset + blockBytes;
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === 'L' || type === 'x') {
      if (bytes > maxNameBytes) return undefined;
      const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, content);
      longName = (type === 'L' ? textOf(buffer) : paxPath(buffer.toString('utf8'))) ?? longName;
    } else {
      if (type === '0' || type === '\0') entries.set(tidy(longName ?? nameOf(header)), { offset: content, bytes });
      longName = undefined;
    }
    offset = content + Math.ceil(bytes / blockBytes) * blockBytes;
  }
  return entries.size === 0 ? undefined : entries;
}

/** The sum of the header's bytes with the sum's own field taken as spaces. */
function hasChecksum(header: Buffer): boolean {
  const sum = header.reduce((total, byte, place) => total + (place >= 148 && place < 156 ? 32 : byte), 0);
  return Number.parseInt(textOf(header.subarray(148, 156)), 8) === sum;
}

/** Octal digits, or, from 8 GiB on, a binary number behind a set first bit. */
function sizeOf(header: Buffer): number | undefined {
  const field = header.subarray(124, 136);
  const isBinary = ((field[0] ?? 0) & 0x80) !== 0;
  const bytes = isBinary ? Number(field.readBigUInt64BE(4)) : Number.parseInt(textOf(field) || '0', 8);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function nameOf(header: Buffer): string {
  const name = textOf(header.subarray(0, 100));
  const isUstar = header.toString('latin1', 257, 262) === 'ustar' && header[262] === 0;
  const prefix = isUstar ? textOf(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Records are `LENGTH KEY=VALUE\n`. */
function paxPath(records: string): string | undefined {
  return /^\d+ path=(.*)$/m.exec(records)?.[1];
}

function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end).trim();
}

function tidy(name: string): string {
  return name.replace(/^(\.?\/)+/, '');
}
