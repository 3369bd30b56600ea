import process from 'node:process';
import { EchoGame } from './echo-game.ts';
import { type GameOptions, parseGameOptions, usage } from './game-options.ts';

/** As in sysexits: invalid command line; and a port that is taken. */
const exUsage = 64;
const exUnavailable = 69;

let options: GameOptions | 'help';
try {
  options = parseGameOptions(process.argv.slice(2), process.env);
} catch (error) {
  fail(error, exUsage);
}
if (options === 'help') process.stdout.write(usage);
else await run(options);

async function run({ stubborn, crashAfterMs, exitCode, ...rest }: GameOptions): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const game = new EchoGame({ stubborn, crashAfterMs, exitCode, ...rest }, say);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stubborn) say(`${signal} ignored: this game is stubborn`);
      else void game.end(signal);
    });
  }
  if (crashAfterMs !== undefined) setTimeout(() => process.kill(process.pid, 'SIGSEGV'), crashAfterMs);
  game.readConsole(process.stdin, say);
  // Not awaited: the game may be told to end before its port is bound.
  const started = game.start();
  started.catch((error: unknown) => fail(error, exUnavailable));
  if (rest.sdkEndpoint !== undefined)
    void started.then(() => speakAgones(rest.sdkEndpoint ?? '', rest.allocated, game, say));
  await game.ended;
  // The last line must reach its pipe before the process exits.
  process.stdout.write('bye\n', () => process.exit(exitCode));
}

/** Imported only by games that use it, so that the others start faster. */
async function speakAgones(
  endpoint: string,
  isAllocated: boolean,
  game: EchoGame,
  say: (line: string) => void,
): Promise<void> {
  try {
    const { liveByAgones } = await import('./agones-life.ts');
    await liveByAgones({ endpoint, isAllocated, say, onDeadline: (deadline) => game.warn(deadline) });
  } catch (error) {
    fail(error, exUnavailable);
  }
}

function fail(error: unknown, exitCode: number): never {
  process.stderr.write(`echo-game: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(exitCode);
}
