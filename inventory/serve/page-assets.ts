import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface PageAsset {
  readonly type: string;
  readonly body: string;
}

/**
 * The files of the page by their names, its modules put together into one script. The bundle of the reader carries what this
 * returns in place of this module (see inline-page-assets.ts): esbuild is needed for development only.
 */
export async function readPageAssets(): Promise<ReadonlyMap<string, PageAsset>> {
  const folder = join(import.meta.dirname, 'page');
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'page.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    logLevel: 'silent',
  });
  return new Map([
    ['page.html', { type: 'text/html; charset=utf-8', body: await readFile(join(folder, 'page.html'), 'utf8') }],
    ['page.css', { type: 'text/css; charset=utf-8', body: await readFile(join(folder, 'page.css'), 'utf8') }],
    ['page.js', { type: 'text/javascript; charset=utf-8', body: outputFiles[0]?.text ?? '' }],
  ]);
}
