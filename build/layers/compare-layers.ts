import type { Image, Layer } from './layer.ts';

export interface ComparedLayer extends Layer {
  /** `reused`: the old image has this layer. `moved`: it must be pulled. */
  readonly fate: 'reused' | 'moved';
}

export interface Comparison {
  /** The new image's layers from the bottom up; a repeated layer is pulled once and listed once. */
  readonly layers: readonly ComparedLayer[];
  readonly bytes: number;
  readonly reusedBytes: number;
  readonly movedBytes: number;
  /** Share of the new image that must be pulled, from 0 to 1. */
  readonly movedRatio: number;
}

/** What a node with the old image must pull for the new one. */
export function compareLayers(before: Image, after: Image): Comparison {
  const known = new Set(before.layers.map(({ digest }) => digest));
  const distinct = [...new Map(after.layers.map((layer) => [layer.digest, layer])).values()];
  const layers = distinct.map(
    (layer): ComparedLayer => ({ ...layer, fate: known.has(layer.digest) ? 'reused' : 'moved' }),
  );
  const bytes = sum(layers);
  const movedBytes = sum(layers.filter(({ fate }) => fate === 'moved'));
  return {
    layers,
    bytes,
    reusedBytes: bytes - movedBytes,
    movedBytes,
    movedRatio: bytes === 0 ? 0 : movedBytes / bytes,
  };
}

function sum(layers: readonly Layer[]): number {
  return layers.reduce((total, { bytes }) => total + bytes, 0);
}
