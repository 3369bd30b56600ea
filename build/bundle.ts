import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { build, formatMessages, type Plugin } from 'esbuild';
import { inlinePageAssets } from '../inventory/serve/inline-page-assets.ts';
import { keepCode } from '../shared/v8/keep-code.ts';
import { moduleFoot, moduleHead } from '../shared/v8/module-script.ts';
import { tunesV8 } from '../shared/v8/tunes-v8.ts';
import { packageFolders, thirdPartyText } from './third-party.ts';

/** The entry module of each program. */
export const programs = {
  agent: 'agent/main.ts',
  wrapper: 'wrapper/main.ts',
  fanout: 'fanout/main.ts',
  inventory: 'inventory/main.ts',
  fleet: 'fleet/main.ts',
} as const;
export type ProgramName = keyof typeof programs;

/** Starts the program with kept bytecode, because a game waits for the wrapper's start. */
const launchers: Readonly<Partial<Record<ProgramName, string>>> = tunesV8 ? { wrapper: 'shared/v8/launch.ts' } : {};

export interface BundledFile {
  /** Name in the output folder. */
  readonly file: string;
  readonly bytes: number;
  /** Its modules, relative to the project. */
  readonly modules: readonly string[];
}

const root = join(import.meta.dirname, '..');

/** Names of lazily loaded parts, after their program's name; others are named after their module. */
const partNames: Readonly<Record<string, string>> = {
  'agent/interruption/ec2/ec2-client.ts': 'ec2',
  'agent/auto-scaling/auto-scaling-client.ts': 'auto-scaling',
  'wrapper/publishing/publish-alone.ts': 'sqs',
  'wrapper/metadata-watch.ts': 'metadata',
  'node_modules/@kubernetes/client-node/dist/index.js': 'kubernetes',
  'node_modules/undici/index.js': 'undici',
  'node_modules/yaml/dist/index.js': 'yaml',
};

/** Programs that use nothing of prom-client but `prom-client-core.cjs`. */
const coreMetricsOnly: ReadonlySet<ProgramName> = new Set(['fanout', 'inventory']);

interface Part {
  readonly file: string;
  /** Absolute path of the entry module. */
  readonly entry: string;
  /** `program`: executed. `launched`: run by a launcher. `part`: required. */
  readonly kind: 'program' | 'launched' | 'part';
}

/**
 * Writes one program into `folder` as self-contained files: `NAME.cjs`, and `NAME-PART.cjs` for each module that our
 * code imports dynamically, so that it costs memory only when needed. With a launcher, `NAME-program.cjs` is the
 * program, `NAME-program.code` its bytecode, and `NAME.cjs` the launcher. Throws an esbuild BuildFailure.
 */
export async function bundle(name: ProgramName, folder: string): Promise<readonly BundledFile[]> {
  const launcher = launchers[name];
  const entry = join(root, programs[name]);
  const launched: Part = { file: `${name}-program.cjs`, entry, kind: 'launched' };
  const parts: Part[] =
    launcher === undefined
      ? [{ file: `${name}.cjs`, entry, kind: 'program' }]
      : [{ file: `${name}.cjs`, entry: join(root, launcher), kind: 'program' }, launched];
  const written: BundledFile[] = [];
  const lazyPart = (entry: string): string => {
    const module = relative(root, entry);
    const file = `${name}-${partNames[module] ?? basename(module).replace(/\.[^.]+$/, '')}.cjs`;
    const known = parts.find((part) => part.file === file);
    if (known === undefined) parts.push({ file, entry, kind: 'part' });
    else if (known.entry !== entry) throw new Error(`Cannot name the file of ${module}: ${file} is of ${known.entry}`);
    return file;
  };
  // The list grows during the loop: a part may have lazy parts of its own.
  const plugins = coreMetricsOnly.has(name) ? [promClientCore] : [];
  for (const part of parts) written.push(await writePart(part, folder, lazyPart, plugins));
  if (launcher === undefined) return written;
  const file = `${name}-program.code`;
  return [...written, { file, bytes: await keepCode(join(folder, launched.file), join(folder, file)), modules: [] }];
}

async function writePart(
  { file, entry, kind }: Part,
  folder: string,
  lazyPart: (entry: string) => string,
  plugins: readonly Plugin[],
): Promise<BundledFile> {
  const outfile = join(folder, file);
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    metafile: true,
    platform: 'node',
    target: 'node24',
    // Not ESM: there an import of node:http also loads Node's own undici, for 14 MiB and 18 ms per process.
    format: 'cjs',
    // The ES modules of the AWS SDK, so that esbuild can drop unused code.
    mainFields: ['module', 'main'],
    // import() would use the ESM loader; this turns it into a late require().
    supported: { 'dynamic-import': false },
    define: { 'import.meta.dirname': '__dirname' },
    // Names stay, so that stack traces are readable without a source map, which would cost every process memory.
    minifySyntax: true,
    minifyWhitespace: true,
    // V8 stores a source with a character outside of Latin-1 at two bytes per character.
    charset: 'ascii',
    legalComments: 'none',
    logLevel: 'silent',
    ...around[kind],
    plugins: [...plugins, inlinePageAssets, lazyParts(lazyPart)],
  });
  if (kind === 'program') await chmod(outfile, 0o755);
  const [output] = Object.values(metafile.outputs);
  return { file, bytes: output?.bytes ?? 0, modules: Object.keys(metafile.inputs) };
}

const around = {
  program: { banner: { js: '#!/usr/bin/env node' } },
  launched: { banner: { js: moduleHead }, footer: { js: moduleFoot } },
  part: {},
} as const;

const promClientCore: Plugin = {
  name: 'prom-client-core',
  setup({ onResolve }) {
    onResolve({ filter: /^prom-client$/ }, () => ({ path: join(import.meta.dirname, 'prom-client-core.cjs') }));
  },
};

/** Marks the plugin's own calls of esbuild, which it must not intercept. */
const isResolving = Symbol('resolving');

/**
 * esbuild does not split CommonJS: a dynamically imported module is excluded here and required from the file beside
 * this one.
 */
function lazyParts(fileOf: (entry: string) => string): Plugin {
  return {
    name: 'lazy-parts',
    setup({ onResolve, resolve }) {
      onResolve({ filter: /.*/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
        const isOurs = kind === 'dynamic-import' && !importer.includes('/node_modules/');
        if (!isOurs || path.startsWith('node:') || pluginData === isResolving) return null;
        const resolved = await resolve(path, { kind, importer, resolveDir, pluginData: isResolving });
        if (resolved.errors.length > 0 || resolved.external) return resolved;
        return { path: `./${fileOf(resolved.path)}`, external: true };
      });
    },
  };
}

/**
 * Bundles every program and prints a table. A program that fails is reported at the end and does not stop the others.
 */
async function main(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const written: BundledFile[] = [];
  const problems: string[] = [];
  for (const name of Object.keys(programs) as ProgramName[]) {
    try {
      written.push(...(await bundle(name, folder)));
    } catch (error) {
      problems.push(`Cannot bundle ${name} from ${programs[name]}: ${await buildErrorText(error)}`);
    }
  }
  await removeStale(folder, written);
  const folders = packageFolders(written.flatMap(({ modules }) => modules));
  await writeFile(join(folder, 'THIRD-PARTY.txt'), await thirdPartyText(root, folders));
  console.log(`${'file'.padEnd(28)}${'KiB'.padStart(8)}${'modules'.padStart(9)}`);
  for (const { file, bytes, modules } of written)
    console.log(`${file.padEnd(28)}${(bytes / 1024).toFixed(0).padStart(8)}${String(modules.length).padStart(9)}`);
  for (const problem of problems) console.error(problem);
  return problems.length === 0 ? 0 : 1;
}

/** Removes files of an earlier build that this one did not write. Other files in the folder stay. */
async function removeStale(folder: string, written: readonly BundledFile[]): Promise<void> {
  const current = new Set(written.map(({ file }) => file));
  const files = await readdir(folder);
  for (const file of files) if (/\.(cjs|code)$/.test(file) && !current.has(file)) await rm(join(folder, file));
}

async function buildErrorText(error: unknown): Promise<string> {
  const { errors = [] } = error as { errors?: Parameters<typeof formatMessages>[0] };
  if (errors.length === 0) return String(error);
  return (await formatMessages(errors, { kind: 'error' })).join('').trim();
}

if (import.meta.main) process.exitCode = await main(join(root, 'dist'));
