import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * As a container runtime would: a root that nobody can write to, /tmp, /proc and a few devices, uid 1000, no
 * capabilities and no way to new ones. The network stays the host's, as in hostNetwork pods.
 */
const enter = `
set -e
root=$1 scratch=$2
shift 2
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount --bind "$root" "$root"
mount --bind "$scratch" "$root/tmp"
mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
for device in null zero urandom; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot,+setuid,+setgid \
  chroot --userspec=1000:1000 "$root" "$@"
`;
const patienceMs = 30_000;

/** Waits until there is something; throws with `what` after 30 s. */
export async function until<T>(
  what: () => string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`Not within ${patienceMs} ms: ${what()}`);
    await sleep(50);
  }
}

/** A command in a root file system of its own. */
export class Contained implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** Its /tmp, seen from outside. */
  readonly scratch: string;
  output = '';

  constructor(
    root: string,
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
    files: (scratch: string) => void = () => {},
  ) {
    this.scratch = mkdtempSync(join(tmpdir(), 'spotable-scratch-'));
    chmodSync(this.scratch, 0o1777);
    files(this.scratch);
    const flags = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
    this.#child = spawn('unshare', [...flags, 'sh', '-c', enter, 'sh', root, this.scratch, ...command], {
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games', HOME: '/tmp', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
      });
  }

  get #pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Its first process, by its number outside; 0 while there is none. */
  get innerPid(): number {
    const path = `/proc/${this.#pid}/task/${this.#pid}/children`;
    return existsSync(path) ? Number(readFileSync(path, 'utf8').split(' ')[0]) : 0;
  }

  /** A field of /proc/PID/status of every process that it runs. */
  statusFields(name: string): readonly string[] {
    const namespace = (pid: number | string) => {
      try {
        return readFileSync(`/proc/${pid}/status`, 'utf8');
      } catch {
        return '';
      }
    };
    const isInside = (status: string) => /^NSpid:\t\d+\t\d+$/m.test(status);
    const inside = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && this.#isBelow(Number(name)))
      .map(namespace)
      .filter(isInside);
    return inside.map((status) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '');
  }

  #isBelow(pid: number): boolean {
    for (let at = pid; at > 1; ) {
      if (at === this.#pid) return pid !== this.#pid;
      try {
        at = Number(/^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${at}/status`, 'utf8'))?.[1]);
      } catch {
        return false;
      }
    }
    return false;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.innerPid, signal);
  }

  /** Its exit status. */
  async exit(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exit();
    rmSync(this.scratch, { recursive: true, force: true });
  }
}
