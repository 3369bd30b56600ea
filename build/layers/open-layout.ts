import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { type BlobSource, unreadable } from './read-manifest.ts';
import { findInTar, type TarEntry } from './read-tar.ts';

/** Documents of an image are a few KiB; a file that is longer is none. */
const maxDocumentBytes = 4 * 1024 * 1024;

/** Reads one file of a layout by its path in it; undefined where there is none. */
type ReadEntry = (path: string) => Promise<Buffer | undefined>;

/**
 * An OCI layout: a folder, or a tar of one (`oci-archive:` of buildah, skopeo and BuildKit). Of a layout with several tags the one after
 * the last colon of the name is taken. Throws a {@link FatalError} where there is nothing to read.
 */
export async function openLayout(path: string, tag: string | undefined): Promise<BlobSource & AsyncDisposable> {
  const name = tag === undefined ? path : `${path}:${tag}`;
  const info = await stat(path).catch((error: unknown) => {
    throw new FatalError(`Cannot read image ${name}: ${errorText(error)}`, {
      status: exitStatus.noInput,
      cause: error,
    });
  });
  if (info.isDirectory()) return layoutOf(name, tag, readFolder(path), async () => {});
  const file = await open(path);
  try {
    const entries = await findInTar(file, info.size);
    if (entries === undefined)
      throw unreadable({ name }, 'the file is no tar archive (a compressed one has to be unpacked)');
    return layoutOf(name, tag, readArchive(file, entries), () => file.close());
  } catch (error) {
    await file.close();
    throw error;
  }
}

function layoutOf(
  name: string,
  tag: string | undefined,
  read: ReadEntry,
  close: () => Promise<void>,
): BlobSource & AsyncDisposable {
  const parse = async (path: string): Promise<unknown> => {
    const bytes = await read(path);
    if (bytes === undefined) throw unreadable({ name }, `${path} is missing (it must be an OCI layout)`);
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch (error) {
      throw unreadable({ name }, `${path} is no JSON`, error);
    }
  };
  return {
    name,
    top: async () => tagged(await parse('index.json'), tag, name),
    document: ({ digest }) => parse(`blobs/${digest.replace(':', '/')}`),
    [Symbol.asyncDispose]: close,
  };
}

/** The index without the images of other tags. */
function tagged(index: unknown, tag: string | undefined, name: string): unknown {
  const { manifests } = Object(index) as { manifests?: unknown };
  if (tag === undefined || !Array.isArray(manifests)) return index;
  const chosen = manifests.filter(
    (one) => Object(Object(one).annotations)['org.opencontainers.image.ref.name'] === tag,
  );
  if (chosen.length === 0) throw unreadable({ name }, `it has no tag ${tag}`);
  return { manifests: chosen };
}

function readFolder(folder: string): ReadEntry {
  return async (path) => {
    const file = join(folder, path);
    const info = await stat(file).catch(() => undefined);
    return info === undefined || info.size > maxDocumentBytes ? undefined : await readFile(file);
  };
}

function readArchive(file: FileHandle, entries: ReadonlyMap<string, TarEntry>): ReadEntry {
  return async (path) => {
    const entry = entries.get(path);
    if (entry === undefined || entry.bytes > maxDocumentBytes) return undefined;
    const { buffer } = await file.read(Buffer.alloc(entry.bytes), 0, entry.bytes, entry.offset);
    return buffer;
  };
}
