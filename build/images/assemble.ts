import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exitStatus } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { type Component, runtimeComponents } from './runtime-components.ts';

/** The programs that each image can run. */
const programsOf = {
  agent: ['agent', 'inventory', 'fleet'],
  wrapper: ['wrapper', 'fanout'],
} as const;
export type ImageName = keyof typeof programsOf;

const root = join(import.meta.dirname, '..', '..');
const dist = join(root, 'dist');
const executable = 0o755;
const readable = 0o644;
const sbomMs = 60_000;
const maxSbomBytes = 64 * 1024 * 1024;

/**
 * Writes an image's content below `out`: `runtime/`, the same for every image, and `program/`. Modes are set
 * explicitly, because those of a checkout depend on the umask, and two builds must be equal. Rejects if a bundle or
 * `tini-static` is missing.
 */
export async function assemble(image: ImageName, out: string): Promise<void> {
  await rm(out, { recursive: true, force: true });
  const bin = join(out, 'runtime', 'spotable', 'bin');
  await makeFolder(bin);
  const [node, tini] = [join(bin, 'node'), join(bin, 'tini')];
  await place(process.execPath, node, executable);
  await place(await whereIs('tini-static'), tini, executable);
  const tree = join(out, 'program', 'spotable');
  await makeFolder(tree);
  for (const file of await filesOf(image)) await place(join(dist, file), join(tree, file), readable);
  await place(join(root, 'LICENSE'), join(tree, 'LICENSE'), readable);
  await writeFile(join(tree, 'sbom.cdx.json'), await bomOf(image, await runtimeComponents(node, tini)), {
    mode: readable,
  });
  for (const folder of ['runtime', 'program'])
    for (const inner of ['', 'spotable']) await chmod(join(out, folder, inner), executable);
}

async function filesOf(image: ImageName): Promise<readonly string[]> {
  const files = (await readdir(dist)).sort();
  const isOurs = (file: string) =>
    programsOf[image].some((name) => file.startsWith(`${name}.`) || file.startsWith(`${name}-`));
  const missing = programsOf[image].filter((name) => !files.includes(`${name}.cjs`));
  if (missing.length > 0)
    throw new Error(`Cannot assemble ${image}: no dist/${missing.join('.cjs, dist/')}.cjs (npm run build)`);
  return files.filter((file) => isOurs(file) || file === 'THIRD-PARTY.txt');
}

/**
 * Node, tini and the bundled packages in CycloneDX form: scanners cannot see them in a bundle. Nothing in it differs
 * between builds.
 */
async function bomOf(image: ImageName, runtime: readonly Component[]): Promise<string> {
  const flags = ['sbom', '--package-lock-only', '--omit', 'dev', '--omit', 'optional', '--sbom-format', 'cyclonedx'];
  const { stdout } = await promisify(execFile)('npm', flags, {
    cwd: root,
    timeout: sbomMs,
    maxBuffer: maxSbomBytes,
  });
  const { serialNumber: _serial, metadata, components, ...bom } = JSON.parse(stdout) as Record<string, unknown>;
  const { timestamp: _timestamp, component, ...rest } = Object(metadata) as Record<string, unknown>;
  const named = { ...Object(component), type: 'application', name: `spotable-${image}` };
  const all = [...runtime, ...(components as readonly unknown[])];
  return `${JSON.stringify({ ...bom, metadata: { ...rest, component: named }, components: all })}\n`;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, executable);
}

async function place(from: string, to: string, mode: number): Promise<void> {
  await copyFile(from, to);
  await chmod(to, mode);
}

async function whereIs(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', 'command -v "$0"', program]).catch(
    (error: unknown) => {
      throw new Error(`Cannot find ${program} (Debian's package tini has it)`, { cause: error });
    },
  );
  return stdout.trim();
}

if (import.meta.main) {
  const [image, out] = process.argv.slice(2);
  if ((image === 'agent' || image === 'wrapper') && out !== undefined) {
    await assemble(image, out).catch((error: unknown) => {
      console.error(errorText(error));
      process.exitCode = exitStatus.software;
    });
  } else {
    console.error('Usage: node build/images/assemble.ts agent|wrapper FOLDER');
    process.exitCode = exitStatus.usage;
  }
}
