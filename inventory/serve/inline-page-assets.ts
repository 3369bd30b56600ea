import type { Plugin } from 'esbuild';
import { readPageAssets } from './page-assets.ts';

/** Embeds the finished page in the reader's bundle, which has neither the page's sources nor esbuild. */
export const inlinePageAssets: Plugin = {
  name: 'inline-page-assets',
  setup(build) {
    build.onLoad({ filter: /[\\/]inventory[\\/]serve[\\/]page-assets\.ts$/ }, async () => {
      const entries = JSON.stringify([...(await readPageAssets())]);
      return { contents: `export async function readPageAssets() { return new Map(${entries}); }`, loader: 'js' };
    });
  },
};
