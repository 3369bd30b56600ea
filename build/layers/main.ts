import packageFile from '../../package.json' with { type: 'json' };
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { startUp } from '../../shared/settings/start-up.ts';
import { compareLayers } from './compare-layers.ts';
import { readNamedImage } from './image-name.ts';
import { type LayersConfig, layersSettings } from './layers-settings.ts';
import { renderComparison } from './render-comparison.ts';

const program = {
  name: 'layers',
  version: packageFile.version,
  usage: 'npm run layers -- OLD NEW [FLAGS]',
  summary: `Compares two images: prints which layers a node with OLD must pull to run NEW, one line per layer, then one JSON object.
An image is an OCI layout (a folder or a tar of it, with :TAG if it holds several) or HOST[:PORT]/REPOSITORY[:TAG].
Registries are read with skopeo, which uses the logins of docker and podman.`,
  footer: `Exit status: 0; 1 more than --max-moved must be pulled; 64 invalid flag; 65 not an image; 66 not found or not readable;
69 skopeo is not installed.`,
};
const aboveLimit = 1;
const maxMs = 60_000;

// Images may come before the flags, after them, or both.
const argv = process.argv.slice(2);
const firstFlag = argv.findIndex((word) => word.startsWith('-'));
const leading = firstFlag === -1 ? argv : argv.slice(0, firstFlag);
const source = { argv: argv.slice(leading.length), env: process.env, takesCommand: true };
const started = startUp(layersSettings, program, source);
if (started.kind === 'end') {
  process.stdout.write(started.stdout);
  process.stderr.write(started.stderr);
  process.exitCode = started.status;
} else {
  try {
    process.exitCode = await compare(started.values, [...leading, ...started.rest]);
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    process.stderr.write(`${program.name}: ${error.message}\n`);
    process.exitCode = error.status;
  }
}

async function compare({ maxMoved, platform }: LayersConfig, images: readonly string[]): Promise<number> {
  const [before, after, ...more] = images;
  if (before === undefined || after === undefined || more.length > 0)
    throw new FatalError('Cannot compare: expected two images, OLD and NEW (see --help)', { status: exitStatus.usage });
  const options = { platform, signal: AbortSignal.timeout(maxMs) };
  const comparison = compareLayers(await readNamedImage(before, options), await readNamedImage(after, options));
  const { layers, bytes, movedBytes, reusedBytes, movedRatio } = comparison;
  const isWithin = maxMoved === undefined || movedRatio <= maxMoved;
  console.log(renderComparison(comparison));
  if (!isWithin) console.log(`more than ${(maxMoved * 100).toFixed(2)} % must be pulled`);
  const report = { ok: isWithin, bytes, moved_bytes: movedBytes, reused_bytes: reusedBytes, moved_ratio: movedRatio };
  const rows = layers.map(({ digest, bytes: size, fate, createdBy }) => ({
    digest,
    bytes: size,
    fate,
    step: createdBy,
  }));
  console.log(JSON.stringify({ ...report, max_moved: maxMoved ?? null, layers: rows }));
  return isWithin ? 0 : aboveLimit;
}
