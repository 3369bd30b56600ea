import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { bundle } from '../../build/bundle.ts';
import { type Command, median, proportionalMiB, run, startedBy, startMs, waitFor } from './measure.ts';
import { playSdk, readSdkPorts, type SdkForm, type SdkPorts, sdkGame } from './sdk-players.ts';

/*
 * The cost of a wrapper: 20 at a time, each with a sleeping game, in their steady state (ready, heartbeats on), beside
 * Node alone, tini, and a start script in Python. `rest` and `rest+grpc` are linked wrappers whose SDK server is in
 * use. Rounds are interleaved, because the machine changes from minute to minute.
 */

const gameServers = 20;
const rounds = Number(process.argv[2] ?? 3);
const startsARound = 15;
/** Several heartbeats, and the time after which the SDK's memory is released. */
const settleMs = 7000;

type Variant = 'node' | 'spawn' | 'tini' | 'python' | 'linked' | 'alone' | SdkForm;

interface Bench {
  readonly wrapper: string;
  readonly spawnOnly: string;
  readonly env: Readonly<Record<string, string>>;
  readonly linkPath: string;
}

interface Figures {
  readonly pssMiB: number[];
  /** The watchdog, which only wrappers outside of containers have. */
  readonly helperMiB: number[];
  readonly startMs: number[];
  readonly burstMs: number[];
  readonly singleEndMs: number[];
}

const sleeper = ['sleep', '100000'];
const isSleeper = (commandLine: string) => commandLine.startsWith('sleep\0');
/** The local SQS accepts any. */
const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
/** As in the image. */
const malloc = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_TOP_PAD_: '0' };

function command(
  variant: Variant,
  game: readonly string[],
  { wrapper, spawnOnly, env, linkPath }: Bench,
): Command | undefined {
  const node = process.execPath;
  const wrapped = (...flags: string[]) => {
    const common = ['--ready', 'delay:50ms', '--metadata-endpoint', 'none', '--heartbeat', '2s', '--lease', '60s'];
    return { command: node, args: [wrapper, ...common, ...flags, '--', ...game], env: { ...env, ...malloc } };
  };
  switch (variant) {
    case 'node':
      return { command: node, args: ['-e', 'setInterval(() => {}, 1e6)'], env };
    case 'spawn':
      return { command: node, args: [spawnOnly, ...game], env };
    case 'tini':
      return hasTini ? { command: 'tini', args: ['--', ...game], env } : undefined;
    case 'python':
      return hasPython
        ? { command: 'python3', args: [join(import.meta.dirname, 'start.py'), 'loud', ...game], env }
        : undefined;
    case 'linked':
      return wrapped('--link', linkPath);
    case 'alone':
      return wrapped('--link', 'none');
    case 'rest':
    case 'rest+grpc':
      // Open, because this process plays the games.
      return wrapped('--link', linkPath, '--sdk', variant, '--sdk-open');
  }
}

function sdkFormOf(variant: Variant): SdkForm | undefined {
  return variant === 'rest' || variant === 'rest+grpc' ? variant : undefined;
}

const hasTini = spawnSync('tini', ['--version']).status === 0;
const hasPython = spawnSync('python3', ['-c', 'import boto3']).status === 0;

/** Starts all at once, lets them settle, and measures their memory; then ends one, and the others at once. */
async function measureTogether(variant: Variant, bench: Bench, figures: Figures): Promise<void> {
  const form = sdkFormOf(variant);
  const started = command(variant, form === undefined ? sleeper : sdkGame, bench);
  if (started === undefined) return;
  const children = Array.from({ length: gameServers }, () => run(started));
  const played = new AbortController();
  const playing = form === undefined ? discardOutput(children) : play(form, children, played.signal);
  const unsent = children.map((child) => countUnsent(child));
  try {
    await sleep(settleMs);
    const dead = children.filter(({ exitCode }) => exitCode !== null);
    if (dead.length > 0) throw new Error(`Cannot measure ${variant}: ${dead.length} of ${gameServers} have ended`);
    const pids = children.flatMap(({ pid }) => pid ?? []);
    figures.pssMiB.push(memoryOf(pids) / gameServers);
    figures.helperMiB.push(memoryOf(pids.flatMap((pid) => startedBy(pid, isSleeper))) / gameServers);
    played.abort();
    await playing;
    if (variant === 'node') return;
    const [first, ...others] = children as [ChildProcess, ...ChildProcess[]];
    figures.singleEndMs.push(await endAll([first]));
    figures.burstMs.push(await endAll(others));
    const lost = (await Promise.all(unsent)).reduce((sum, count) => sum + count, 0);
    if (lost > 0) throw new Error(`Cannot measure ${variant}: ${lost} events were not taken by the queue`);
  } finally {
    played.abort();
    for (const child of children) child.kill('SIGKILL');
  }
}

async function discardOutput(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) child.stdout?.resume();
}

async function play(form: SdkForm, children: readonly ChildProcess[], signal: AbortSignal): Promise<void> {
  const ports = await Promise.all(children.map(sdkPortsOf));
  await playSdk(form, ports, signal);
}

async function sdkPortsOf({ stdout }: ChildProcess): Promise<SdkPorts> {
  if (stdout === null) throw new Error('Cannot read the ports of an SDK server: no pipe');
  const [line] = (await once(createInterface({ input: stdout }), 'line')) as [string];
  return readSdkPorts(line);
}

function memoryOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + proportionalMiB(pid), 0);
}

/** Events that the wrapper reports as unsent at its end; 0 for other programs. */
async function countUnsent({ stderr }: ChildProcess): Promise<number> {
  let unsent = 0;
  if (stderr === null) return unsent;
  for await (const line of createInterface({ input: stderr }))
    unsent += Number(/"unsentEvents":(\d+)/.exec(line)?.[1] ?? 0);
  return unsent;
}

/** Time from the first SIGTERM to the last exit. */
async function endAll(children: readonly ChildProcess[]): Promise<number> {
  const exits = children.map((child) => once(child, 'exit'));
  const began = performance.now();
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(exits);
  return performance.now() - began;
}

async function measureStart(variant: Variant, bench: Bench, figures: Figures): Promise<void> {
  const started = command(variant, ['sh', '-c', 'echo'], bench);
  if (started !== undefined && variant !== 'node' && sdkFormOf(variant) === undefined)
    figures.startMs.push(await startMs(started));
}

function round(value: number, digits = 2): number | null {
  return Number.isNaN(value) ? null : Number(value.toFixed(digits));
}

function report(figures: Readonly<Record<Variant, Figures>>): object {
  const middle = (variant: Variant, what: keyof Figures) => median(figures[variant][what]);
  console.log(`${gameServers} at a time, ${rounds} rounds, medians\n`);
  console.log(
    ['', 'PSS MiB each', 'and watchdog', 'start ms', `end of ${gameServers - 1} ms`, 'end of 1 ms']
      .map((head) => head.padStart(15))
      .join(''),
  );
  for (const variant of Object.keys(figures) as Variant[]) {
    const cells = (['pssMiB', 'helperMiB', 'startMs', 'burstMs', 'singleEndMs'] as const).map((what) =>
      middle(variant, what),
    );
    console.log(
      [variant, ...cells.map((cell) => (Number.isNaN(cell) ? '-' : cell.toFixed(1)))]
        .map((cell) => cell.padStart(15))
        .join(''),
    );
  }
  if (!hasPython) console.log('\nNo Python peer: python3 with boto3 is missing');
  const ratios = (variant: Variant) => ({
    pss_mib: round(middle(variant, 'pssMiB'), 1),
    watchdog_pss_mib: round(middle(variant, 'helperMiB'), 2),
    pss_ratio_to_node: round(middle(variant, 'pssMiB') / middle('node', 'pssMiB')),
    pss_ratio_to_python: round(middle(variant, 'pssMiB') / middle('python', 'pssMiB')),
    start_ms: round(middle(variant, 'startMs'), 1),
    start_ratio_to_python: round(middle(variant, 'startMs') / middle('python', 'startMs')),
    start_ratio_to_spawn: round(middle(variant, 'startMs') / middle('spawn', 'startMs')),
    burst_end_ms: round(middle(variant, 'burstMs'), 0),
    single_end_ms: round(middle(variant, 'singleEndMs'), 0),
  });
  return {
    linked: ratios('linked'),
    alone: ratios('alone'),
    python: hasPython ? ratios('python') : null,
    sdk_rest_adds_mib: round(middle('rest', 'pssMiB') - middle('linked', 'pssMiB')),
    sdk_grpc_adds_mib: round(middle('rest+grpc', 'pssMiB') - middle('linked', 'pssMiB')),
  };
}

async function measureAll(bench: Bench): Promise<Readonly<Record<Variant, Figures>>> {
  const none = (): Figures => ({ pssMiB: [], helperMiB: [], startMs: [], burstMs: [], singleEndMs: [] });
  const figures = {
    ...{ node: none(), spawn: none(), tini: none(), python: none(), linked: none(), alone: none() },
    ...{ rest: none(), 'rest+grpc': none() },
  };
  const variants = Object.keys(figures) as Variant[];
  for (let index = 0; index < rounds; index++) {
    for (let start = 0; start < startsARound; start++)
      for (const variant of variants) await measureStart(variant, bench, figures[variant]);
    for (const variant of variants) await measureTogether(variant, bench, figures[variant]);
  }
  return figures;
}

/** In a process of its own, as in production. Resolves once it reports that it is ready. */
async function startProgram(file: string, args: readonly string[], ready: RegExp): Promise<Started> {
  const program = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  program.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await waitFor(`${file} is ready`, () => ready.test(output));
  return { process: program, said: ready.exec(output)?.[0] ?? '' };
}

interface Started {
  readonly process: ChildProcess;
  readonly said: string;
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'spotable-bench-'));
  const programs: ChildProcess[] = [];
  const start = async (file: string, args: readonly string[], ready: RegExp) => {
    const { process, said } = await startProgram(file, args, ready);
    programs.push(process);
    return said;
  };
  try {
    await bundle('wrapper', folder);
    Object.assign(process.env, credentials);
    const endpoint = await start('../../sandbox/sqs/main.ts', ['--queue', 'bench'], /http:\/\/127\.0\.0\.1:\d+/);
    const queueUrl = `${endpoint}/000000000000/bench`;
    const linkPath = join(folder, 'link');
    await start('relay.ts', [linkPath, queueUrl, endpoint], /listening/);
    const env = {
      PATH: process.env['PATH'] ?? '',
      TMPDIR: folder,
      QUEUE_URL: queueUrl,
      ...{ AWS_ENDPOINT_URL_SQS: endpoint, AWS_REGION: 'us-east-1', AWS_DEFAULT_REGION: 'us-east-1' },
      ...credentials,
    };
    const bench = {
      wrapper: join(folder, 'wrapper.cjs'),
      spawnOnly: join(import.meta.dirname, 'spawn-only.cjs'),
      env,
      linkPath,
    };
    console.log(`\n${JSON.stringify(report(await measureAll(bench)))}`);
  } finally {
    for (const program of programs) program.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
