import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Folders of the packages that these modules belong to, in the modules' notation: `node_modules/@scope/name`, also
 * nested ones.
 */
export function packageFolders(modules: Iterable<string>): ReadonlySet<string> {
  const folders = new Set<string>();
  for (const module of modules) {
    const [folder] = /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(module) ?? [];
    if (folder !== undefined) folders.add(folder);
  }
  return folders;
}

/** The licence texts of bundled packages: licences require that their text accompanies the code. */
export async function thirdPartyText(root: string, folders: ReadonlySet<string>): Promise<string> {
  const texts = new Map<string, string>();
  for (const folder of [...folders].toSorted()) {
    const path = join(root, folder);
    const { name, version, license } = JSON.parse(await readFile(join(path, 'package.json'), 'utf8'));
    const files = (await readdir(path)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    const terms = await Promise.all(files.map((file) => readFile(join(path, file), 'utf8')));
    texts.set(`${name} ${version} (${license})`, terms.join('\n').trim());
  }
  return [...texts].map(([title, terms]) => `${title}\n${'-'.repeat(title.length)}\n${terms}\n`).join('\n\n');
}
