import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { KubeClient } from '../../kube-client/kube-client.ts';
import type { AnyKubeObject, KubeObject } from '../../kube-client/kube-object.ts';
import { type PodPlace, readField } from '../pod/environment.ts';
import type { MountedPath } from '../pod/mount-path.ts';
import type { Container, FieldFile, Pod, TokenProjection, Volume, VolumeSource } from '../pod/pod.ts';

export interface PreparedVolumes {
  /** By the volume's name. */
  directories: ReadonlyMap<string, string>;
  /** When a token has to be fetched again, in epoch milliseconds. */
  refreshAtMs: number | undefined;
}

const defaultTokenSeconds = 3600;
/** A real kubelet asks for a new token after 80 % of the old one's life. */
const tokenLifePart = 0.8;

/**
 * Creates the pod's volumes below `directory`. May be called again: existing volumes stay and tokens are renewed.
 * @throws Error if a volume is of an unsupported kind or a token is refused
 */
export async function prepareVolumes(
  kube: KubeClient,
  pod: Pod,
  { directory, hostRoot, place, signal }: { directory: string; hostRoot: string; place: PodPlace; signal: AbortSignal },
): Promise<PreparedVolumes> {
  const directories = new Map<string, string>();
  const { namespace } = pod.metadata;
  let refreshAtMs: number | undefined;
  for (const volume of pod.spec.volumes ?? []) {
    if (volume.hostPath !== undefined) {
      const path = join(hostRoot, volume.hostPath.path);
      if (volume.hostPath.type === 'DirectoryOrCreate') await mkdir(path, { recursive: true });
      directories.set(volume.name, path);
      continue;
    }
    const target = join(directory, volume.name);
    await mkdir(target, { recursive: true });
    directories.set(volume.name, target);
    const { files, tokens, configMaps } = readSources(volume);
    for (const { path, fieldRef } of files) {
      if (fieldRef === undefined) throw new Error(`volume ${volume.name}: file ${path} has no fieldRef`);
      await replaceFile(target, path, readField(fieldRef.fieldPath, pod, place));
    }
    for (const { name, items = [] } of configMaps) {
      const { data = {} } = await kube.get<ConfigMap>(`/api/v1/namespaces/${namespace}/configmaps/${name}`, { signal });
      for (const { key, path } of items) await replaceFile(target, path, data[key] ?? '');
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

/** @throws Error if a mount names no volume */
export function findMounts(container: Container, directories: ReadonlyMap<string, string>): MountedPath[] {
  return (container.volumeMounts ?? []).map(({ name, mountPath, subPath }) => {
    const directory = directories.get(name);
    if (directory === undefined) throw new Error(`volumeMount ${mountPath}: the pod has no volume ${name}`);
    return { mountPath, directory: subPath === undefined ? directory : join(directory, subPath) };
  });
}

type ConfigMap = KubeObject & { data?: Record<string, string> };

interface Sources {
  files: FieldFile[];
  tokens: TokenProjection[];
  configMaps: NonNullable<VolumeSource['configMap']>[];
}

function readSources({ name, emptyDir, downwardAPI, projected }: Volume): Sources {
  const found: Sources = { files: [...(downwardAPI?.items ?? [])], tokens: [], configMaps: [] };
  if (emptyDir === undefined && downwardAPI === undefined && projected === undefined) {
    throw new Error(`volume ${name}: only emptyDir, hostPath, downwardAPI and projected volumes are supported`);
  }
  for (const { serviceAccountToken, downwardAPI: fields, configMap } of projected?.sources ?? []) {
    if (serviceAccountToken !== undefined) found.tokens.push(serviceAccountToken);
    else if (fields !== undefined) found.files.push(...(fields.items ?? []));
    else if (configMap !== undefined) found.configMaps.push(configMap);
    else throw new Error(`volume ${name}: only tokens, fields and ConfigMaps are supported in a projection`);
  }
  return found;
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

/** Replace in one step, so that a reader finds either the old token or the new one. */
async function replaceFile(directory: string, path: string, text: string): Promise<void> {
  const file = join(directory, path);
  if (relative(directory, file).startsWith('..')) throw new Error(`file ${path} lies outside its volume`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
