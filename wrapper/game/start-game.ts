import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, fstatSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../../shared/clock.ts';
import { FatalError } from '../../shared/exit-status.ts';
import type { Log } from '../../shared/log.ts';
import { hasCode } from '../../shared/system-error.ts';
import type { GameExit } from '../life/lifecycle.ts';
import { GameConsole } from './game-console.ts';
import { LineMatcher } from './line-matcher.ts';
import { withOpenFiles } from './open-files.ts';

export interface GameCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The game's input passes through us, because an action will write to it. */
  readonly needsStdin: boolean;
  /** The game's soft limit on open files; undefined: ours. */
  readonly openFiles: number | undefined;
  /** Wait for an output line that matches; then the output passes through us. */
  readonly logPattern: RegExp | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Called with the process group as soon as it exists. */
  readonly onSpawn: (pid: number) => void;
}

/** The supervised program. It leads a process group and a session of its own. */
export interface Game {
  readonly pid: number;
  /** The first process's end. Its descendants may live on. */
  readonly exited: Promise<GameExit>;
  /** Whether a line of output has matched. */
  hasLogged(): boolean;
  readonly console: GameConsole;
  /** Called before a kill: wait less for the game's last output. */
  hurryOutput(): void;
}

const notFound = 127;
const notExecutable = 126;

/** Starts the game. Throws a FatalError with a shell's status, 126 or 127, if it cannot be executed. */
export async function startGame(options: GameCommand): Promise<Game> {
  const child = await spawnGame(options);
  const pid = child.pid ?? 0;
  const exited = exitOf(child);
  if (child.stdin !== null) connectInput(child.stdin);
  const output = options.logPattern === undefined ? undefined : watchOutput(child, options.logPattern, options);
  let isHurried = false;
  return {
    pid,
    exited: output === undefined ? exited : exited.then((exit) => output.drained(isHurried).then(() => exit)),
    hasLogged: () => output?.hasMatched() ?? false,
    console: new GameConsole(child.stdin, options.clock),
    hurryOutput: () => {
      isHurried = true;
    },
  };
}

async function spawnGame(options: GameCommand): Promise<ChildProcess> {
  const { command, env, needsStdin, logPattern, onSpawn } = options;
  const output = logPattern === undefined ? 'inherit' : 'pipe';
  const [program, args] = withOpenFiles(command, options.args, options.openFiles, env['PATH']);
  try {
    const child = spawn(program, [...args], {
      env: { ...env },
      detached: true,
      // Inherited descriptors cost nothing, lose nothing, and give the game the same back-pressure as without us.
      stdio: [needsStdin ? 'pipe' : 'inherit', output, output],
    });
    if (child.pid !== undefined) onSpawn(child.pid);
    await once(child, 'spawn');
    return child;
  } catch (error) {
    const isMissing = hasCode(error, 'ENOENT') || (hasCode(error, 'EACCES') && isNowhere(command, env['PATH']));
    const because = isMissing ? 'not found' : hasCode(error, 'EACCES') ? 'not executable' : String(error);
    throw new FatalError(`Cannot start game ${command}: ${because}`, {
      status: isMissing ? notFound : notExecutable,
      cause: error,
    });
  }
}

/**
 * If a folder of PATH is not searchable, the system reports EACCES even for a command that is in none of the folders.
 */
function isNowhere(command: string, path = ''): boolean {
  return !command.includes('/') && !path.split(delimiter).some((folder) => existsSync(join(folder, command)));
}

function exitOf(child: ChildProcess): Promise<GameExit> {
  const { promise, resolve } = Promise.withResolvers<GameExit>();
  child.once('exit', (code, signal) => resolve(signal === null ? { code: code ?? 0 } : { signal }));
  return promise;
}

/** Device number of /dev/null, which is the input of a container without `stdin: true`. */
const nullDevice = 0x103;

/**
 * Forwards our own input, and keeps the game's input open after ours ends: many games stop when their console closes.
 */
function connectInput(input: Writable): void {
  // A game may close its console.
  input.on('error', () => {});
  if (isNullDevice(0)) return;
  // Our input may be unreadable, or its other end may break off: then the game gets no more input.
  process.stdin.on('error', () => {});
  process.stdin.pipe(input, { end: false });
}

function isNullDevice(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).rdev === nullDevice;
  } catch {
    return true;
  }
}

interface WatchedOutput {
  hasMatched(): boolean;
  /** Resolves when all output is written, or soon after if nobody reads it or a descendant keeps it open. */
  drained(isHurried: boolean): Promise<void>;
}

/** Keep passing on a dead game's output while some of it is read in each such interval, */
const drainStepMs = 1000;
/** but for at most this many intervals: a descendant may go on writing. */
const maxDrainSteps = 3;
/** Total time for output after the game was killed, because the end has come. */
const hurriedDrainMs = 500;

function watchOutput(child: ChildProcess, pattern: RegExp, { log, clock }: GameCommand): WatchedOutput {
  let hasMatched = false;
  let readBytes = 0;
  const passedBytes = () => readBytes - process.stdout.writableLength - process.stderr.writableLength;
  const onMatch = () => {
    hasMatched = true;
  };
  const ends = [passThrough(child.stdout, process.stdout, log), passThrough(child.stderr, process.stderr, log)];
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null) {
      matchLines(stream, new LineMatcher(pattern), onMatch);
      stream.on('data', (chunk: Buffer) => {
        readBytes += chunk.length;
      });
    }
  return {
    hasMatched: () => hasMatched,
    drained: async (isHurried) => {
      let isThrough = false;
      const all = Promise.all(ends).then(() => {
        isThrough = true;
      });
      if (isHurried) return Promise.race([all, clock.sleep(hurriedDrainMs)]);
      for (let step = 0; step < maxDrainSteps; step++) {
        const before = passedBytes();
        await Promise.race([all, clock.sleep(drainStepMs)]);
        if (isThrough || passedBytes() === before) return;
      }
    },
  };
}

/** Copies byte for byte, and no faster than the other end reads. Resolves at the end of the stream. */
async function passThrough(from: Readable | null, to: Writable, log: Log): Promise<void> {
  if (from === null) return;
  leaveTerminal(to);
  to.on('error', (err) => {
    // The reader of our output has gone: close the pipe so that the game notices, as it would without us.
    if (hasCode(err, 'EPIPE', 'ECONNRESET')) return from.destroy();
    // A full disk must not end a game.
    log.error({ err }, 'Game output lost');
    from.unpipe(to);
    return from.resume();
  });
  from.pipe(to, { end: false });
  await once(from, 'close').catch(() => {});
  // Wait for bytes that the other end has not taken yet.
  await new Promise((resolve) => to.write('', resolve));
}

function matchLines(stream: Readable, matcher: LineMatcher, onMatch: () => void): void {
  const look = (chunk: Buffer) => {
    if (!matcher.push(chunk)) return;
    stream.off('data', look);
    onMatch();
  };
  stream.on('data', look);
}

/**
 * Node blocks while it writes to a terminal: a person who stops it with Ctrl-S would stop our clock. Only the stream's
 * handle can change that.
 */
function leaveTerminal(to: Writable & { readonly _handle?: { setBlocking?(isBlocking: boolean): void } }): void {
  if ('isTTY' in to && to.isTTY === true) to._handle?.setBlocking?.(false);
}
