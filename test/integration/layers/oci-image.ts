import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Blob {
  readonly digest: string;
  readonly bytes: Buffer;
}

export interface OciImage {
  readonly blobs: readonly Blob[];
  /** Of its manifest. */
  readonly descriptor: {
    readonly digest: string;
    readonly size: number;
    readonly mediaType: string;
    readonly platform: object;
  };
}

export function blobOf(content: Buffer | object): Blob {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes };
}

export function descriptorOf(
  { digest, bytes }: Blob,
  mediaType: string,
): { digest: string; size: number; mediaType: string } {
  return { digest, size: bytes.length, mediaType };
}

/** An image of these layers: content by the instruction that made it. */
export function imageOf(layers: Readonly<Record<string, Buffer>>, architecture = 'amd64'): OciImage {
  const blobs = Object.values(layers).map(blobOf);
  const history = [
    ...Object.keys(layers).map((step) => ({ created_by: step })),
    { created_by: 'ENTRYPOINT ["/spotable/bin/tini"]', empty_layer: true },
  ];
  const config = blobOf({ os: 'linux', architecture, history });
  const manifest = blobOf({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptorOf(config, 'application/vnd.oci.image.config.v1+json'),
    layers: blobs.map((blob) => descriptorOf(blob, 'application/vnd.oci.image.layer.v1.tar+gzip')),
  });
  return {
    blobs: [...blobs, config, manifest],
    descriptor: {
      ...descriptorOf(manifest, 'application/vnd.oci.image.manifest.v1+json'),
      platform: { os: 'linux', architecture },
    },
  };
}

/** An index of images, each with its annotations. */
export function indexOf(images: readonly OciImage[], annotations: readonly object[] = []): Blob {
  const manifests = images.map(({ descriptor }, at) => ({ ...descriptor, annotations: annotations[at] ?? {} }));
  return blobOf({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests });
}

/** Writes an OCI layout. */
export async function writeLayout(
  folder: string,
  images: readonly OciImage[],
  tags: readonly string[] = [],
): Promise<void> {
  const annotations = tags.map((tag) => ({ 'org.opencontainers.image.ref.name': tag }));
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(folder, 'index.json'), indexOf(images, annotations).bytes);
  for (const { digest, bytes } of images.flatMap(({ blobs }) => blobs))
    await writeFile(join(folder, 'blobs', digest.replace(':', '/')), bytes);
}
