import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { hasCode } from '../../shared/system-error.ts';
import type { ImageSource } from './read-manifest.ts';

const maxDocumentBytes = 4 * 1024 * 1024;
const registryForm = /^(localhost|[^/\s]*[.:][^/\s]*)\/\S+$/;
const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])[:/]/;

/** Whether this names an image in a registry: the host must be given, because a bare name may as well be a folder. */
export function isRegistryReference(name: string): boolean {
  return registryForm.test(name);
}

/** An image in a registry. skopeo reads its documents, with the logins of docker and podman; no layer is pulled. */
export function openRegistry(name: string, signal: AbortSignal): ImageSource {
  const repository = name.replace(/@[^@]*$/, '').replace(/:[^:/]*$/, '');
  // As docker does: plain HTTP is accepted from this machine only.
  const flags = ['inspect', '--raw', ...(loopback.test(name) ? ['--tls-verify=false'] : [])];
  const read = (reference: string, ...more: string[]) =>
    skopeo(name, [...flags, ...more, `docker://${reference}`], signal);
  return {
    name,
    top: () => read(name),
    manifest: ({ digest }) => read(`${repository}@${digest}`),
    config: (_, manifest) => read(manifest === undefined ? name : `${repository}@${manifest.digest}`, '--config'),
  };
}

async function skopeo(name: string, args: readonly string[], signal: AbortSignal): Promise<unknown> {
  try {
    const { stdout } = await promisify(execFile)('skopeo', args, { signal, maxBuffer: maxDocumentBytes });
    return JSON.parse(stdout);
  } catch (error) {
    const isMissing = hasCode(error, 'ENOENT');
    const message = isMissing
      ? 'Cannot read from a registry: skopeo is not installed'
      : `Cannot read image ${name}: ${lastMessage(error)}`;
    const status = isMissing ? exitStatus.unavailable : exitStatus.noInput;
    throw new FatalError(message, { status, cause: error });
  }
}

/** skopeo reports errors as `time="..." level=fatal msg="..."`. */
function lastMessage(error: unknown): string {
  const { stderr = '', message } = error as Error & { readonly stderr?: string };
  const line = stderr.trim().split('\n').at(-1) ?? '';
  return /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]?.replaceAll('\\"', '"') ?? (line || message);
}
