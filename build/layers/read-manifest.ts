import { FatalError } from '../../shared/exit-status.ts';
import type { Image, Layer, Platform } from './layer.ts';

export interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

/** The JSON documents of an image. */
export interface ImageSource {
  /** As the user named it. */
  readonly name: string;
  /** The image's index or manifest. */
  top(): Promise<unknown>;
  manifest(descriptor: Descriptor): Promise<unknown>;
  /** The config of a manifest; `manifest` is undefined for the top one. */
  config(descriptor: Descriptor, manifest: Descriptor | undefined): Promise<unknown>;
}

/** An index may name another index. Real ones are not nested deeper, and a cycle must end. */
const maxIndexDepth = 4;
const digestForm = /^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/;

/**
 * Reads the layers of one platform's image. Throws a {@link FatalError} if there is none or a document is malformed.
 */
export async function readImage(source: ImageSource, platform: Platform): Promise<Image> {
  let document = await source.top();
  let manifest: Descriptor | undefined;
  for (let depth = 0; depth < maxIndexDepth; depth++) {
    const { layers, manifests, config } = fieldsOf(document);
    if (Array.isArray(layers)) {
      const descriptors = layers.map((layer) => descriptorOf(layer, source));
      const steps = stepsOf(await source.config(descriptorOf(config, source), manifest).catch(() => undefined));
      return { name: source.name, layers: descriptors.map((layer, place) => toLayer(layer, steps[place])) };
    }
    if (!Array.isArray(manifests)) throw unreadable(source, 'it is neither an image manifest nor an index');
    manifest = descriptorOf(choose(manifests, platform, source), source);
    document = await source.manifest(manifest);
  }
  throw unreadable(source, `its indexes are nested more than ${maxIndexDepth} deep`);
}

function toLayer({ digest, size }: Descriptor, createdBy = ''): Layer {
  return { digest, bytes: size, createdBy };
}

/** A single manifest is taken whatever its platform: layouts written by `buildah push` name none. */
function choose(manifests: readonly unknown[], platform: Platform, source: ImageSource): unknown {
  // BuildKit lists attestations next to the images, as images of an unknown platform.
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

/** The instruction of each layer. The history also has entries without a layer. */
function stepsOf(config: unknown): readonly string[] {
  const history = fieldsOf(config)['history'];
  if (!Array.isArray(history)) return [];
  return history
    .map(fieldsOf)
    .filter((entry) => entry['empty_layer'] !== true)
    .map((entry) => String(entry['created_by'] ?? ''));
}

function descriptorOf(value: unknown, source: ImageSource): Descriptor {
  const { digest, size } = fieldsOf(value);
  // The digest becomes part of a path and of a command.
  if (typeof digest !== 'string' || !digestForm.test(digest)) throw unreadable(source, 'a descriptor has no digest');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw unreadable(source, `${digest} has no size`);
  return { digest, size };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return Object(value) as Readonly<Record<string, unknown>>;
}

export function unreadable({ name }: { readonly name: string }, why: string, cause?: unknown): FatalError {
  return new FatalError(`Cannot read image ${name}: ${why}`, { status: dataError, cause });
}

/** EX_DATAERR: the file exists but is not an image. */
export const dataError = 65;
