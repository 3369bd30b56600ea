import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface PageAsset {
  readonly type: string;
  readonly body: string;
}

/**
 * The page's files by name, its modules bundled into one script. In the reader's bundle this module is replaced by its
 * result (see inline-page-assets.ts), because esbuild is a development dependency.
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
