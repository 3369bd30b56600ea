import { stat } from 'node:fs/promises';
import type { Image, Platform } from './layer.ts';
import { openLayout } from './open-layout.ts';
import { isRegistryReference, openRegistry } from './open-registry.ts';
import { readImage } from './read-manifest.ts';

export interface ReadImageOptions {
  readonly platform: Platform;
  readonly signal: AbortSignal;
}

/**
 * Reads the layers of an image by the name that a user gives it. A path that exists takes precedence over a registry.
 */
export async function readNamedImage(name: string, { platform, signal }: ReadImageOptions): Promise<Image> {
  const [path, tag] = (await exists(name)) ? [name, undefined] : splitTag(name);
  const isInRegistry = !(await exists(path)) && isRegistryReference(name);
  return readImage(isInRegistry ? openRegistry(name, signal) : await openLayout(path, tag), platform);
}

function splitTag(name: string): readonly [string, string | undefined] {
  const [, path = name, tag] = /^(.+):([\w][\w.-]*)$/.exec(name) ?? [];
  return [path, tag];
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
