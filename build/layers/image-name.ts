import { stat } from 'node:fs/promises';
import type { Image, Platform } from './layer.ts';
import { openLayout } from './open-layout.ts';
import { openRegistry, type RegistryOptions } from './open-registry.ts';
import { readImage } from './read-manifest.ts';
import { parseRegistryReference } from './registry-reference.ts';

export interface ReadImageOptions extends RegistryOptions {
  readonly platform: Platform;
}

/** Reads the layers of an image by the name that a user gives it: a path that exists wins over a registry. */
export async function readNamedImage(name: string, options: ReadImageOptions): Promise<Image> {
  const [path, tag] = (await exists(name)) ? [name, undefined] : splitTag(name);
  const isPath = await exists(path);
  const where = isPath ? undefined : parseRegistryReference(name);
  if (where !== undefined) return readImage(openRegistry(name, where, options), options.platform);
  await using layout = await openLayout(isPath ? path : name, tag);
  return await readImage(layout, options.platform);
}

function splitTag(name: string): readonly [string, string | undefined] {
  const [, path = name, tag] = /^(.+):([\w][\w.-]*)$/.exec(name) ?? [];
  return [path, tag];
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
