import { readNamedImage } from '../layers/image-name.ts';
import type { Image, Layer } from '../layers/layer.ts';

/** Maximum compressed size of our programs, above the base and Node. */
const maxProgramBytes = 3_000_000;
const options = {
  platform: { os: 'linux', architecture: 'amd64', variant: undefined },
  signal: AbortSignal.timeout(60_000),
};

/** The layers above the base: Node and tini, and what runs on them. */
function ownLayers({ name, layers }: Image): readonly [Layer, Layer] {
  const [runtime, program] = layers.filter(({ createdBy }) => /COPY dir:|COPY file:|COPY /.test(createdBy));
  if (runtime === undefined || program === undefined) throw new Error(`Cannot judge ${name}: no two layers of ours`);
  return [runtime, program];
}

/** Prints the sizes of both images; fails where a program is too large, or Node is not the same layer in both. */
async function main(names: readonly string[]): Promise<number> {
  const images = await Promise.all(names.map((name) => readNamedImage(name, options)));
  const own = images.map(ownLayers);
  let failures = 0;
  for (const [at, [runtime, program]] of own.entries()) {
    const megabytes = ({ bytes }: Layer) => `${(bytes / 1_000_000).toFixed(2)} MB`;
    console.log(`${names[at]}: runtime ${megabytes(runtime)}, program ${megabytes(program)} compressed`);
    if (program.bytes > maxProgramBytes) {
      failures++;
      console.error(`Its program is above ${maxProgramBytes / 1_000_000} MB`);
    }
  }
  if (new Set(own.map(([{ digest }]) => digest)).size > 1) {
    failures++;
    console.error('Node is not the same layer in both images: a node would pull it twice');
  }
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
