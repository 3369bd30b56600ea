import type { Comparison } from './compare-layers.ts';

const maxStep = 60;

/** The comparison as a table for people: one line per layer from the bottom up, and a total. */
export function renderComparison({ layers, bytes, movedBytes, movedRatio }: Comparison): string {
  const lines = layers.map(({ fate, bytes: size, digest, createdBy }) =>
    `${fate.padEnd(7)} ${megabytes(size).padStart(11)}  ${digest.replace(/^\w+:/, '').slice(0, 12)}  ${brief(createdBy)}`.trimEnd(),
  );
  const share = `${(movedRatio * 100).toFixed(2)} %`;
  return [...lines, `moved ${megabytes(movedBytes)} of ${megabytes(bytes)}: ${share}`].join('\n');
}

function megabytes(bytes: number): string {
  return bytes < 100_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Control characters in an image's history could overwrite the table. */
function brief(step: string): string {
  const words = step
    .replace(/^\/bin\/sh -c (#\(nop\) *)?/, '')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim();
  return words.length > maxStep ? `${words.slice(0, maxStep - 1)}…` : words;
}
