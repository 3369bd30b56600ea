import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** An entry of a CycloneDX component list. */
export interface Component {
  readonly type: 'application';
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly cpe?: string;
  readonly hashes: readonly { readonly alg: 'SHA-256'; readonly content: string }[];
}

/** The executables of an image besides our bundles, under the names that scanners look for; npm does not know them. */
export async function runtimeComponents(node: string, tini: string): Promise<readonly Component[]> {
  const nodeVersion = await versionOf(node);
  const tiniVersion = await versionOf(tini);
  return [
    {
      ...{ type: 'application', name: 'node', version: nodeVersion, purl: `pkg:generic/node@${nodeVersion}` },
      cpe: `cpe:2.3:a:nodejs:node.js:${nodeVersion}:*:*:*:*:*:*:*`,
      hashes: [await hashOf(node)],
    },
    {
      ...{ type: 'application', name: 'tini', version: tiniVersion, purl: `pkg:github/krallin/tini@v${tiniVersion}` },
      hashes: [await hashOf(tini)],
    },
  ];
}

/** `v24.21.0` of Node, `tini version 0.19.0` of tini. Throws if the program prints no version. */
async function versionOf(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: 10_000 });
  const [, version] = /\bv?(\d+\.\d+\.\d+)\b/.exec(stdout) ?? [];
  if (version === undefined) throw new Error(`Cannot read the version of ${program} from ${JSON.stringify(stdout)}`);
  return version;
}

async function hashOf(file: string): Promise<Component['hashes'][number]> {
  return {
    alg: 'SHA-256',
    content: createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
  };
}
