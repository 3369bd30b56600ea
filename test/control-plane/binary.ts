import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** There is no control plane without Go or its modules. A failed build is an Error. */
export type Binary =
  | { readonly kind: 'ready'; readonly path: string }
  | { readonly kind: 'unavailable'; readonly reason: string };

const moduleFolder = import.meta.dirname;
const sourceFiles = ['go.mod', 'go.sum', 'main.go'];
const progressEveryMs = 15_000;
const fetchLimitMs = 600_000;
const lockPollMs = 500;
const buildLimitMs = 2_400_000;

/**
 * Returns the control plane's program from the cache, or builds it into the cache, which takes minutes and happens
 * once. If several processes want it at the same time, one builds it and the others wait.
 * @param say gets progress, a line at a time
 */
export async function provideBinary(say: (line: string) => void): Promise<Binary> {
  const sources = await Promise.all(sourceFiles.map((file) => readFile(join(moduleFolder, file))));
  const [, version] = /k8s\.io\/kubernetes v(\S+)/.exec(String(sources[0])) ?? [];
  if (version === undefined) throw new Error('go.mod requires no version of k8s.io/kubernetes');
  const hash = createHash('sha256').update(sources.join('\0')).digest('hex').slice(0, 16);
  const key = `v${version}-${hash}`;
  const folder = join(cacheFolder(), key);
  const path = join(folder, 'control-plane');
  if (await isThere(path)) return { kind: 'ready', path };
  await using _lock = await takeLock(key, () => say('another process builds it: waiting'));
  if (await isThere(path)) return { kind: 'ready', path };
  const reason = await fetchModules(say);
  if (reason !== undefined) return { kind: 'unavailable', reason };
  await mkdir(folder, { recursive: true });
  await build(version, path, say);
  return { kind: 'ready', path };
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'spotable', 'control-plane');
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Says why the Go modules are unavailable; undefined if they are available. */
async function fetchModules(say: (line: string) => void): Promise<string | undefined> {
  say('fetching Go modules');
  try {
    await runGo(['mod', 'download'], fetchLimitMs, () => {});
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'Go is not installed';
    return `Go modules cannot be fetched: ${(error as Error).message}`;
  }
}

async function build(version: string, path: string, say: (line: string) => void): Promise<void> {
  const [major = '', minor = ''] = version.split('.');
  const variables = {
    gitVersion: `v${version}`,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: '',
    gitTreeState: 'clean',
  };
  const linkerFlags = Object.entries(variables).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  const unfinished = `${path}.${process.pid}`;
  const startedMs = performance.now();
  let packages = 0;
  const tell = () => {
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    say(`building Kubernetes ${version} from Go modules, once: ${packages} packages after ${seconds} s`);
  };
  tell();
  const timer = setInterval(tell, progressEveryMs);
  try {
    const flags = ['-v', '-trimpath', '-ldflags', ['-s -w', ...linkerFlags].join(' '), '-o', unfinished];
    await runGo(['build', ...flags, '.'], buildLimitMs, () => packages++);
    await rename(unfinished, path);
    tell();
  } finally {
    clearInterval(timer);
    await rm(unfinished, { force: true });
  }
}

/** @throws Error with the last line of Go's stderr */
async function runGo(args: readonly string[], limitMs: number, onLine: (line: string) => void): Promise<void> {
  const go = spawn('go', args, {
    cwd: moduleFolder,
    env: { ...process.env, CGO_ENABLED: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
    // Not `timeout`, whose timer would outlive a missing program.
    signal: AbortSignal.timeout(limitMs),
  });
  let last = '';
  createInterface({ input: go.stderr }).on('line', (line) => {
    last = line;
    onLine(line);
  });
  const [code] = await once(go, 'close');
  if (code !== 0) throw new Error(last);
}

/** An abstract socket is a lock that the kernel releases however its holder ends. */
async function takeLock(key: string, onWait: () => void): Promise<AsyncDisposable> {
  const name = `\0spotable-control-plane-${process.getuid?.()}-${key}`;
  for (let isFirst = true; ; isFirst = false) {
    const lock = createServer((socket) => socket.destroy());
    lock.listen(name);
    try {
      await once(lock, 'listening');
      return { [Symbol.asyncDispose]: async () => void lock.close() };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      if (isFirst) onWait();
    }
    await sleep(lockPollMs);
  }
}
