import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Programs } from './programs.ts';

export interface BenchProxy {
  readonly name: string;
  /** The command that serves `port` with these replicas. */
  command(port: number, replicas: readonly number[]): readonly string[] | Promise<readonly string[]>;
  /** Why it cannot run here. */
  readonly missing: string | undefined;
}

const proxyFile = join(import.meta.dirname, '../../fanout/main.ts');
/** As the image and manifests/fanout start it. */
const node = [
  'env',
  ...['MALLOC_ARENA_MAX=8', 'MALLOC_TRIM_THRESHOLD_=131072', 'MALLOC_TOP_PAD_=0'],
  process.execPath,
  '--max-semi-space-size=4',
];
const noLimits = [
  '--max-sessions',
  '40000',
  '--source-rate',
  '0',
  '--session-rate',
  '0',
  '--max-sessions-per-source',
  '1000000',
];

/** Our proxy with these flags. */
export function ours(name: string, programs: Programs, flags: readonly string[]): BenchProxy {
  const isFast = flags.includes('native');
  return {
    name,
    missing: isFast && programs.addon === undefined ? programs.addonReason : undefined,
    command: (port, replicas) => [
      ...node,
      proxyFile,
      ...['--listen', `127.0.0.1:${port}`, '--operations', '127.0.0.1:0', '--log-level', 'error'],
      ...replicas.flatMap((replica) => ['--upstream', `127.0.0.1:${replica}`]),
      ...(programs.addon === undefined ? [] : ['--addon', programs.addon]),
      ...noLimits,
      ...flags,
    ],
  };
}

export function ceiling(programs: Programs): BenchProxy {
  return {
    name: 'C ceiling',
    missing: undefined,
    command: (port, replicas) => [programs.ceiling, String(port), ...replicas.map(String)],
  };
}

async function isInstalled(command: string): Promise<boolean> {
  try {
    await promisify(execFile)(command, ['-V']);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** From Debian's package libnginx-mod-stream; other builds include the module. */
const debianStreamModule = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** With one replica only: neither nginx nor socat sends to several. */
export async function nginx(programs: Programs): Promise<BenchProxy> {
  const binary = process.env['NGINX'] ?? 'nginx';
  const folder = programs.pin.slice(0, programs.pin.lastIndexOf('/'));
  const modules = process.env['NGINX_STREAM_MODULE'] ?? [debianStreamModule].find((transport) => existsSync(transport));
  return {
    name: 'nginx stream',
    missing: (await isInstalled(binary)) ? undefined : `no ${binary}`,
    command: async (port, [replica]) => {
      const file = join(folder, `nginx-${port}.conf`);
      const load = modules === undefined ? '' : `load_module ${modules};\n`;
      const stream = `stream { server { listen 127.0.0.1:${port} udp; proxy_pass 127.0.0.1:${replica}; proxy_timeout 60s; access_log off; } }`;
      await writeFile(
        file,
        `${load}daemon off; master_process off; pid ${folder}/nginx.pid; error_log /dev/null;\nevents { worker_connections 4096; }\n${stream}\n`,
      );
      return [binary, '-p', folder, '-e', '/dev/null', '-c', file];
    },
  };
}

export async function socat(): Promise<BenchProxy> {
  return {
    name: 'socat fork',
    missing: (await isInstalled('socat')) ? undefined : 'no socat',
    command: (port, [replica]) => [
      'socat',
      '-T60',
      `UDP4-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`,
      `UDP4:127.0.0.1:${replica}`,
    ],
  };
}
