import { parseArgs } from 'node:util';

export const usage: string = `Usage: node sandbox/game/main.ts [FLAG...]

A small game server. UDP: "status" is answered with the state as JSON, anything else with "N " and the same bytes, N counting
the answers to that client. Console on stdin, and on TCP where an RCON port is given: status, say TEXT, save-all, stop.

  --port N            UDP port (SERVER_PORT)
  --rcon-port N       TCP port of the console (RCON_PORT; none)
  --host IP           to bind (127.0.0.1)
  --name NAME         (echo)
  --players N         simulated ones (0)
  --bind-delay TIME   from the start until the port is bound (0ms)
  --save TIME         how long the world takes to save at the end (0ms)
  --save-file FILE    to write it to
  --exit-code N       of a clean end (0)
  --crash-after TIME  from the start until it dies of a SIGSEGV
  --stubborn          ignores SIGTERM and SIGINT
  --sdk               speaks Agones' SDK at AGONES_SDK_HTTP_PORT
  --allocated         with --sdk: a match is on from the start
`;

export interface GameOptions {
  port: number;
  rconPort: number | undefined;
  host: string;
  name: string;
  players: number;
  bindDelayMs: number;
  saveMs: number;
  saveFile: string | undefined;
  /** The wrapper's deadline file, which appears when the end is known. */
  deadlineFile: string | undefined;
  exitCode: number;
  crashAfterMs: number | undefined;
  stubborn: boolean;
  /** URL of Agones' SDK; undefined: the game does not use it. */
  sdkEndpoint: string | undefined;
  allocated: boolean;
}

/** Throws an Error that names the flag, its value and the expected value. */
export function parseGameOptions(argv: readonly string[], env: NodeJS.ProcessEnv): GameOptions | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      port: { type: 'string', default: env['SERVER_PORT'] ?? '' },
      'rcon-port': { type: 'string', ...(env['RCON_PORT'] === undefined ? {} : { default: env['RCON_PORT'] }) },
      host: { type: 'string', default: '127.0.0.1' },
      name: { type: 'string', default: 'echo' },
      players: { type: 'string', default: '0' },
      'bind-delay': { type: 'string', default: '0ms' },
      save: { type: 'string', default: '0ms' },
      'save-file': { type: 'string' },
      'exit-code': { type: 'string', default: '0' },
      'crash-after': { type: 'string' },
      stubborn: { type: 'boolean', default: false },
      sdk: { type: 'boolean', default: false },
      allocated: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const rconPort = values['rcon-port'];
  const crashAfter = values['crash-after'];
  return {
    port: readNumber('--port', values.port, 65_535),
    rconPort: rconPort === undefined ? undefined : readNumber('--rcon-port', rconPort, 65_535),
    host: values.host,
    name: values.name,
    players: readNumber('--players', values.players, 10_000),
    bindDelayMs: readDuration('--bind-delay', values['bind-delay']),
    saveMs: readDuration('--save', values.save),
    saveFile: values['save-file'],
    deadlineFile: env['SPOTABLE_DEADLINE_FILE'],
    exitCode: readNumber('--exit-code', values['exit-code'], 255),
    crashAfterMs: crashAfter === undefined ? undefined : readDuration('--crash-after', crashAfter),
    stubborn: values.stubborn,
    // The default port of every Agones SDK.
    sdkEndpoint: values.sdk ? `http://127.0.0.1:${env['AGONES_SDK_HTTP_PORT'] ?? '9358'}` : undefined,
    allocated: values.allocated,
  };
}

function readNumber(flag: string, value: string, max: number): number {
  if (/^\d{1,5}$/.test(value) && Number(value) <= max) return Number(value);
  throw new Error(`${flag} "${value}": expected a number from 0 to ${max}`);
}

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000 };

function readDuration(flag: string, value: string): number {
  const match = /^(\d{1,6})(ms|s|m)$/.exec(value);
  if (match === null) throw new Error(`${flag} "${value}": expected a duration such as 500ms, 5s or 2m`);
  return Number(match[1]) * (unitMs[match[2] ?? ''] ?? 0);
}
