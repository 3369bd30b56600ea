import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { KubeClient } from '../../kube-client/kube-client.ts';
import type { AnyKubeObject } from '../../kube-client/kube-object.ts';
import { type PodPlace, readField } from '../pod/environment.ts';
import type { MountedPath } from '../pod/mount-path.ts';
import type { Container, FieldFile, Pod, TokenProjection, Volume } from '../pod/pod.ts';

export interface PreparedVolumes {
  /** By the volume's name. */
  directories: ReadonlyMap<string, string>;
  /** When a token has to be fetched again, in epoch milliseconds. */
  refreshAtMs: number | undefined;
}

const defaultTokenSeconds = 3600;
/** The kubelet asks for a new token when 80 % of the old one's life is over. */
const tokenLifePart = 0.8;

/**
 * Makes the pod's volumes below `directory`. May be called again: what is there stays, tokens are renewed.
 * @throws Error where a volume is of a kind this kubelet does not have or a token is refused
 */
export async function prepareVolumes(
  kube: KubeClient,
  pod: Pod,
  { directory, place, signal }: { directory: string; place: PodPlace; signal: AbortSignal },
): Promise<PreparedVolumes> {
  const directories = new Map<string, string>();
  let refreshAtMs: number | undefined;
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.hostPath !== undefined) {
      directories.set(volume.name, volume.hostPath.path);
      continue;
    }
    const target = join(directory, volume.name);
    await mkdir(target, { recursive: true });
    directories.set(volume.name, target);
    const { files, tokens } = readSources(volume);
    for (const { path, fieldRef } of files) {
      if (fieldRef === undefined) throw new Error(`volume ${volume.name}: file ${path} has no fieldRef`);
      await replaceFile(target, path, readField(fieldRef.fieldPath, pod, place));
    }
    for (const token of tokens) {
      const { text, expiresAtMs } = await requestToken(kube, pod, token, signal);
      await replaceFile(target, token.path, text);
      const nowMs = Date.now();
      refreshAtMs = Math.min(refreshAtMs ?? Infinity, nowMs + (expiresAtMs - nowMs) * tokenLifePart);
    }
  }
  return { directories, refreshAtMs };
}

/** @throws Error where a mount names no volume */
export function findMounts(container: Container, directories: ReadonlyMap<string, string>): MountedPath[] {
  return (container.volumeMounts ?? []).map(({ name, mountPath, subPath }) => {
    const directory = directories.get(name);
    if (directory === undefined) throw new Error(`volumeMount ${mountPath}: the pod has no volume ${name}`);
    return { mountPath, directory: subPath === undefined ? directory : join(directory, subPath) };
  });
}

function readSources(volume: Volume): { files: FieldFile[]; tokens: TokenProjection[] } {
  const { name, emptyDir, downwardAPI, projected } = volume;
  if (emptyDir !== undefined) return { files: [], tokens: [] };
  if (downwardAPI !== undefined) return { files: downwardAPI.items ?? [], tokens: [] };
  if (projected === undefined) {
    throw new Error(`volume ${name}: only emptyDir, hostPath, downwardAPI and projected volumes are supported`);
  }
  const files: FieldFile[] = [];
  const tokens: TokenProjection[] = [];
  for (const source of projected.sources ?? []) {
    if (source.serviceAccountToken !== undefined) tokens.push(source.serviceAccountToken);
    else if (source.downwardAPI !== undefined) files.push(...(source.downwardAPI.items ?? []));
    else throw new Error(`volume ${name}: only serviceAccountToken and downwardAPI are supported in a projection`);
  }
  return { files, tokens };
}

async function requestToken(
  kube: KubeClient,
  { metadata, spec }: Pod,
  { audience, expirationSeconds = defaultTokenSeconds }: TokenProjection,
  signal: AbortSignal,
): Promise<{ text: string; expiresAtMs: number }> {
  const account = spec.serviceAccountName ?? 'default';
  const answer = await kube.create<AnyKubeObject & { status: { token: string; expirationTimestamp: string } }>(
    `/api/v1/namespaces/${metadata.namespace}/serviceaccounts/${account}/token`,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        ...(audience === undefined ? {} : { audiences: [audience] }),
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid: metadata.uid },
      },
    },
    { signal },
  );
  return { text: answer.status.token, expiresAtMs: Date.parse(answer.status.expirationTimestamp) };
}

/** In one step, so that a reader finds the old token or the new one. */
async function replaceFile(directory: string, path: string, text: string): Promise<void> {
  const file = join(directory, path);
  if (relative(directory, file).startsWith('..')) throw new Error(`file ${path} lies outside its volume`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
