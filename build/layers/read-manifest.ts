import { FatalError } from '../../shared/exit-status.ts';
import type { Image, Layer, Platform } from './layer.ts';

/** What names a blob. */
export interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

/** Where an image's documents come from. */
export interface BlobSource {
  /** As the user named it. */
  readonly name: string;
  /** The document to begin with: an index, or a manifest. */
  top(): Promise<unknown>;
  /** The JSON document of that digest. */
  document(descriptor: Descriptor): Promise<unknown>;
}

/** An index of indexes of indexes: nobody builds deeper ones, and a circle must end. */
const deepestIndex = 4;
const digestForm = /^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/;

/** Reads the layers of one platform's image. Throws a {@link FatalError} where there is none, or the documents make no sense. */
export async function readImage(source: BlobSource, platform: Platform): Promise<Image> {
  let document = await source.top();
  for (let depth = 0; depth < deepestIndex; depth++) {
    const { layers, manifests, config } = fieldsOf(document);
    if (Array.isArray(layers)) {
      const descriptors = layers.map((layer) => descriptorOf(layer, source));
      const steps = stepsOf(await source.document(descriptorOf(config, source)).catch(() => undefined));
      return { name: source.name, layers: descriptors.map((layer, place) => toLayer(layer, steps[place])) };
    }
    if (!Array.isArray(manifests)) throw unreadable(source, 'it is neither an image manifest nor an index of such');
    document = await source.document(descriptorOf(choose(manifests, platform, source), source));
  }
  throw unreadable(source, `its indexes are nested more than ${deepestIndex} deep`);
}

function toLayer({ digest, size }: Descriptor, createdBy = ''): Layer {
  return { digest, bytes: size, createdBy };
}

/** An only manifest is meant whatever its platform; layouts that `buildah push` writes name none at all. */
function choose(manifests: readonly unknown[], platform: Platform, source: BlobSource): unknown {
  // BuildKit lists its attestations beside the images, as images for an unknown platform.
  const images = manifests.filter((one) => platformOf(one)?.['os'] !== 'unknown');
  if (images.length === 1) return images[0];
  const found = images.find((one) => {
    const { os, architecture, variant } = platformOf(one) ?? {};
    const fits = os === platform.os && architecture === platform.architecture;
    return fits && (platform.variant === undefined || variant === platform.variant);
  });
  if (found !== undefined) return found;
  const { os, architecture } = platform;
  throw unreadable(source, `it holds ${images.length} images, none of them for ${os}/${architecture}`);
}

function platformOf(manifest: unknown): Readonly<Record<string, unknown>> | undefined {
  const platform = fieldsOf(manifest)['platform'];
  return platform === undefined ? undefined : fieldsOf(platform);
}

/** The instruction of each layer: the history has entries without a layer too. */
function stepsOf(config: unknown): readonly string[] {
  const history = fieldsOf(config)['history'];
  if (!Array.isArray(history)) return [];
  return history
    .map(fieldsOf)
    .filter((entry) => entry['empty_layer'] !== true)
    .map((entry) => String(entry['created_by'] ?? ''));
}

function descriptorOf(value: unknown, source: BlobSource): Descriptor {
  const { digest, size, mediaType } = fieldsOf(value);
  // The digest becomes part of a path, and of a URL.
  if (typeof digest !== 'string' || !digestForm.test(digest)) throw unreadable(source, 'a descriptor has no digest');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw unreadable(source, `${digest} has no size`);
  return { digest, size, mediaType: typeof mediaType === 'string' ? mediaType : '' };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return Object(value) as Readonly<Record<string, unknown>>;
}

export function unreadable({ name }: { readonly name: string }, why: string, cause?: unknown): FatalError {
  return new FatalError(`Cannot read image ${name}: ${why}`, { status: dataError, cause });
}

/** EX_DATAERR: what was named is there, and is no image. */
export const dataError = 65;
