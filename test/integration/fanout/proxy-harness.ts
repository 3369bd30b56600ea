import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Upstream } from '../../../fanout/election/upstream.ts';
import { runFanout } from '../../../fanout/fanout.ts';
import { fanoutSettings } from '../../../fanout/fanout-settings.ts';
import { compileAddon } from '../../../fanout/native/compile-addon.ts';
import { startWorkers } from '../../../fanout/workers/start-workers.ts';
import { systemClock } from '../../../shared/clock.ts';
import { readSettings } from '../../../shared/settings/read-settings.ts';

/** Every test of the data transport runs on each of them. */
export const transports = ['dgram', 'native'] as const;
export type TransportName = (typeof transports)[number];

const folder = await mkdtemp(join(tmpdir(), 'fanout-'));
const addonFile = join(folder, 'fanout.node');
const compiled = await compileAddon({ outFile: addonFile });
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** Why tests of a transport cannot run here; false: they can. */
export function skipped(transport: TransportName): string | false {
  return transport === 'native' && compiled.kind === 'skipped' ? compiled.reason : false;
}

export const addonFlags: readonly string[] = ['--addon', addonFile];
export const programFile: string = join(import.meta.dirname, '../../../fanout/main.ts');

export async function until(isTrue: () => boolean, what: string, limitMs = 10_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`Not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export interface LogLine {
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface RunningProxy {
  readonly port: number;
  readonly operationsUrl: string;
  readonly log: readonly LogLine[];
  setUpstreams(upstreams: readonly Upstream[]): void;
  drain(): void;
  /** Ends it at once and waits until it has. */
  stop(): Promise<void>;
  readonly ended: Promise<void>;
}

/** The real proxy in this process, on free ports, with a list of replicas that the test changes. */
export async function startProxy(
  transport: TransportName,
  upstreams: readonly Upstream[],
  flags: readonly string[] = [],
): Promise<RunningProxy> {
  const argv = [
    '--listen',
    '127.0.0.1:0',
    '--operations',
    '127.0.0.1:0',
    '--transport',
    transport,
    ...addonFlags,
    ...flags,
  ];
  const read = readSettings(fanoutSettings, { argv, env: {} });
  if (read.kind !== 'settings') throw new Error(JSON.stringify(read));
  const settings = read.values;
  const log: LogLine[] = [];
  const at = (fields: object, msg: string) => void log.push({ ...fields, msg });
  const draining = new AbortController();
  const stopNow = new AbortController();
  let report: (list: readonly Upstream[]) => void = () => {};
  const logger = { debug: at, info: at, warn: at, error: at };
  const ended = runFanout(
    {
      settings,
      clock: systemClock,
      log: logger,
      terminal: { write: () => {}, isTerminal: false },
      sources: [
        {
          run: async (given, signal) => {
            report = given;
            report(upstreams);
            if (!signal.aborted) await once(signal, 'abort');
          },
        },
      ],
      startWorkers: (onRefused) =>
        startWorkers(
          { settings, program: { file: programFile, onLost: () => {} }, addonFiles: [addonFile], log: logger },
          onRefused,
        ),
    },
    { draining: draining.signal, stopNow: stopNow.signal },
  );
  const serving = () => log.find(({ msg }) => msg === 'Fan-out proxy listening');
  await Promise.race([until(() => serving() !== undefined, 'the proxy listens'), ended]);
  return {
    port: Number(serving()?.['port']),
    operationsUrl: `http://127.0.0.1:${String(serving()?.['operations'])}`,
    log,
    ended,
    setUpstreams: (list) => report(list),
    drain: () => draining.abort(),
    stop: async () => {
      draining.abort();
      stopNow.abort();
      await ended;
    },
  };
}

export function upstreamAt(port: number, change: Partial<Upstream> = {}): Upstream {
  return {
    id: `127.0.0.1:${port}`,
    address: '127.0.0.1',
    port,
    readiness: 'ready',
    isInSync: undefined,
    deadlineMs: undefined,
    ...change,
  };
}

export interface Replica {
  readonly port: number;
  readonly upstream: Upstream;
  readonly seen: { readonly bytes: number; readonly from: RemoteInfo }[];
  stop(): void;
}

export type Answer = (message: Buffer, reply: (bytes: Buffer) => void) => void;

/** A replica in this process; by default it answers "NAME " and the datagram. */
export async function startReplica(name: string, address = '127.0.0.1', answer?: Answer): Promise<Replica> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const seen: { bytes: number; from: RemoteInfo }[] = [];
  const named: Answer = (message, reply) => reply(Buffer.concat([Buffer.from(`${name} `), message]));
  socket.on('message', (message, from) => {
    seen.push({ bytes: message.length, from });
    (answer ?? named)(message, (bytes) => socket.send(bytes, from.port, from.address, () => {}));
  });
  socket.bind(0, address);
  await once(socket, 'listening');
  const { port } = socket.address();
  let isOpen = true;
  const stop = () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
  return { port, upstream: upstreamAt(port, { address }), seen, stop };
}

export interface ReplicaProcess {
  readonly upstream: Upstream;
  readonly child: ChildProcess;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>;
}

/** A replica as a process of its own, to be killed. */
export async function startReplicaProcess(name: string, port = 0): Promise<ReplicaProcess> {
  const file = join(import.meta.dirname, 'fixtures/replica.ts');
  const child = spawn(process.execPath, [file, name, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const bound = Number(String(line));
  return {
    child,
    upstream: upstreamAt(bound, { id: name }),
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

export interface Player {
  readonly socket: Socket;
  /** What came back, in order. */
  readonly answers: { readonly text: string; readonly bytes: Buffer; readonly atMs: number }[];
  send(bytes: string | Buffer): void;
  close(): void;
}

export async function startPlayer(port: number, address = '127.0.0.1', from?: string): Promise<Player> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  const answers: { text: string; bytes: Buffer; atMs: number }[] = [];
  socket.on('message', (bytes) => answers.push({ text: bytes.toString('latin1'), bytes, atMs: performance.now() }));
  socket.on('error', () => {});
  if (from !== undefined) socket.bind(0, from);
  socket.connect(port, address);
  await once(socket, 'connect');
  return {
    socket,
    answers,
    send: (bytes) => socket.send(bytes),
    close: () => socket.close(),
  };
}
