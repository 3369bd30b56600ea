import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerCommand } from '../pod/resolve-command.ts';
import { markerName, type Sweeper } from './sweep.ts';

export interface ContainerEnd {
  /** 128+n if signal n ended it. */
  exitCode: number;
  signal: NodeJS.Signals | null;
  finishedAtMs: number;
  leftoversKilled: number;
  leftoversAlive: number;
}

export interface ContainerProcess {
  readonly pid: number;
  /** Signals the main process only, as a container runtime does. */
  terminate(): void;
  /** Kills the main process; every other process of the container ends with it. */
  kill(): void;
  /** Resolves when all processes of the container have ended and all their output was read. */
  readonly ended: Promise<ContainerEnd>;
}

export type TellLine = (stream: 'stdout' | 'stderr', line: string) => void;

/** A container log keeps lines of at most 16 KiB and splits longer ones, as containerd does. */
const maxLineChars = 16 * 1024;
/** A process outside the container may hold its pipes open for ever. */
const outputGraceMs = 500;
const signalBase = 128;

/** @throws Error in runc's words if the program cannot be started */
export async function startContainer(
  command: ContainerCommand,
  sweeper: Sweeper,
  tellLine: TellLine,
): Promise<ContainerProcess> {
  const isDirectory = await stat(command.directory).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) throw new Error(`chdir to cwd ("${command.directory}") failed: no such file or directory`);
  const child = spawn(command.file, command.args, {
    cwd: command.directory,
    env: { ...Object.fromEntries(command.environment), [markerName]: command.marker },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Use a separate session: a Ctrl-C in the terminal must not reach the pods.
    detached: true,
  });
  const output = Promise.all([
    readLines(child.stdout, 'stdout', tellLine),
    readLines(child.stderr, 'stderr', tellLine),
  ]);
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw new Error(`exec: "${command.file}": ${await sayStartFailure(command, cause)}`, { cause });
  }
  // A signal could not be sent: the process has gone, and its exit reports more.
  child.on('error', () => undefined);
  const pid = child.pid ?? 0;
  return {
    pid,
    terminate: () => void child.kill('SIGTERM'),
    kill: () => void child.kill('SIGKILL'),
    ended: awaitEnd(child, pid, { marker: command.marker, sweeper, output }),
  };
}

async function awaitEnd(
  child: ChildProcess,
  pid: number,
  { marker, sweeper, output }: { marker: string; sweeper: Sweeper; output: Promise<unknown> },
): Promise<ContainerEnd> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  const finishedAtMs = Date.now();
  const left = await sweeper.sweep({ isMarker: (found) => found === marker, sessions: [pid] });
  await Promise.race([output, delay(outputGraceMs)]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  const exitCode = code ?? signalBase + (signal === null ? 0 : constants.signals[signal]);
  return { exitCode, signal, finishedAtMs, leftoversKilled: left.killed, leftoversAlive: left.alive };
}

async function sayStartFailure({ file, environment }: ContainerCommand, cause: unknown): Promise<string> {
  const { code, message } = cause as NodeJS.ErrnoException;
  // execvp also reports EACCES for a missing program if a directory of PATH is not readable.
  const isMissing = code === 'ENOENT' || (code === 'EACCES' && !(await isFound(file, environment.get('PATH') ?? '')));
  if (isMissing) return 'executable file not found in $PATH';
  return code === 'EACCES' ? 'permission denied' : message;
}

async function isFound(file: string, path: string): Promise<boolean> {
  if (file.includes('/')) return true;
  const looks = path.split(':').map((directory) => stat(join(directory, file)));
  return (await Promise.allSettled(looks)).some(({ status }) => status === 'fulfilled');
}

async function readLines(stream: Readable, name: 'stdout' | 'stderr', tellLine: TellLine): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let pending = '';
  const take = (text: string): void => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) tellPieces(line);
    while (pending.length > maxLineChars) {
      tellLine(name, pending.slice(0, maxLineChars));
      pending = pending.slice(maxLineChars);
    }
  };
  const tellPieces = (line: string): void => {
    for (let at = 0; at === 0 || at < line.length; at += maxLineChars)
      tellLine(name, line.slice(at, at + maxLineChars));
  };
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) take(decoder.write(chunk));
  } catch {
    // We destroyed the stream once the container was gone: unread output is lost.
  }
  const last = pending + decoder.end();
  if (last !== '') tellPieces(last);
}
