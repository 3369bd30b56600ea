import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseManifests, projectRoot } from '../../unit/manifests/manifest-files.ts';
import type { Manifest } from '../../unit/manifests/manifest-problems.ts';

const kubectlMs = 30_000;

/** Why tests that need kubectl are skipped; false where it is there. */
export const withoutKubectl: string | false =
  spawnSync('kubectl', ['version', '--client']).status === 0 ? false : 'kubectl is not installed';

/** What `kubectl kustomize` makes of a folder, given by its path in the project or from the root of the file system. */
export async function renderKustomization(folder: string): Promise<readonly Manifest[]> {
  const path = folder.startsWith('/') ? folder : join(projectRoot, folder);
  const { stdout } = await promisify(execFile)('kubectl', ['kustomize', path], {
    timeout: kubectlMs,
    maxBuffer: 2 ** 24,
  });
  return parseManifests(stdout);
}
