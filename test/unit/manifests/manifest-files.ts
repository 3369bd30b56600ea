import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from './manifest-problems.ts';

export const projectRoot: string = join(import.meta.dirname, '..', '..', '..');

/** Every document in a YAML text; throws where the text is no YAML. */
export function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (!('errors' in document) || document.errors.length > 0) throw new Error(`Cannot parse YAML: ${document.errors}`);
    return document.toJS({ maxAliasCount: 0 }) as Manifest;
  });
}

/**
 * Paths of files below a folder of the project, relative to the project. The Helm chart's are templates; what a link
 * leads to stands elsewhere.
 */
export function filesBelow(folder: string, ends: string): readonly string[] {
  return readdirSync(join(projectRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ends))
    .map(({ parentPath, name }) => relative(projectRoot, join(parentPath, name)))
    .filter((path) => !path.startsWith('manifests/chart/') && realpathSync(join(projectRoot, path)).endsWith(path))
    .sort();
}

export function readProjectFile(path: string): string {
  return readFileSync(join(projectRoot, path), 'utf8');
}
