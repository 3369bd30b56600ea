import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { type ImageSource, unreadable } from './read-manifest.ts';

/** Documents of an image have a few KiB. */
const maxDocumentBytes = 4 * 1024 * 1024;

/** Reads a file of a layout by its path in it; undefined: there is no such file. */
type ReadEntry = (path: string) => Promise<string | undefined>;

/**
 * An OCI layout: a folder, or a tar of one (`oci-archive:` of buildah, skopeo and BuildKit). `tag` selects one of
 * several images. Throws a {@link FatalError} if there is nothing to read.
 */
export async function openLayout(path: string, tag: string | undefined): Promise<ImageSource> {
  const name = tag === undefined ? path : `${path}:${tag}`;
  const info = await stat(path).catch((error: unknown) => {
    const message = `Cannot read image ${name}: ${errorText(error)}`;
    throw new FatalError(message, { status: exitStatus.noInput, cause: error });
  });
  const read = info.isDirectory() ? readFolder(path) : await readArchive(path, name);
  const parse = async (file: string): Promise<unknown> => {
    const text = await read(file);
    if (text === undefined) throw unreadable({ name }, `${file} is missing (expected an OCI layout)`);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw unreadable({ name }, `${file} is not JSON`, error);
    }
  };
  const blob = ({ digest }: { readonly digest: string }) => parse(`blobs/${digest.replace(':', '/')}`);
  return { name, top: async () => tagged(await parse('index.json'), tag, name), manifest: blob, config: blob };
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
    return info === undefined || info.size > maxDocumentBytes ? undefined : await readFile(file, 'utf8');
  };
}

/** tar seeks from header to header, so a document of an archive of gigabytes takes milliseconds. */
async function readArchive(archive: string, name: string): Promise<ReadEntry> {
  const tar = async (...args: string[]) =>
    (await promisify(execFile)('tar', [...args], { maxBuffer: maxDocumentBytes })).stdout;
  const entries = await tar('--list', '--file', archive).catch((error: unknown) => {
    throw unreadable({ name }, 'it is not a tar archive', error);
  });
  // Archives of a folder name their entries ./index.json, others index.json.
  const names = new Map(entries.split('\n').map((entry) => [entry.replace(/^\.\//, ''), entry]));
  return async (path) => {
    const entry = names.get(path);
    return entry === undefined ? undefined : await tar('--extract', '--to-stdout', '--file', archive, '--', entry);
  };
}
