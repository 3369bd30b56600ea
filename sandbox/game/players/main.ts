import process from 'node:process';
import { parseArgs } from 'node:util';
import { type PlayersReport, playUntil } from '../player.ts';

const usage = `Usage: node sandbox/game/players/main.ts --port N [--host IP] [--players N] [--rate N] [--seconds N]
       [--report-every N]

Keeps players at a game server, each sending --rate datagrams a second (20), for --seconds or until SIGINT or SIGTERM. The last
line of stdout is a JSON object: players, sent, answered, lost, repeated, maxGapMs, toldClosing. With --report-every there is
such a line at the beginning and every N milliseconds before it.
`;
const exUsage = 64;
const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '' },
    players: { type: 'string', default: '1' },
    rate: { type: 'string', default: '20' },
    seconds: { type: 'string' },
    'report-every': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(usage);
} else {
  const { host } = values;
  const [port, players, perSecond] = [values.port, values.players, values.rate].map(readNumber);
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => end.abort());
  if (values.seconds !== undefined) setTimeout(() => end.abort(), (readNumber(values.seconds) ?? 0) * 1000);
  const everyMs = values['report-every'] === undefined ? undefined : readNumber(values['report-every']);
  if (port !== undefined && players !== undefined && perSecond !== undefined) {
    print(await playUntil({ host, port, players, perSecond, everyMs, onReport: print }, end.signal));
    process.exit(0);
  }
}

function print(report: PlayersReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

function readNumber(value: string): number | undefined {
  if (/^[1-9]\d{0,4}$/.test(value)) return Number(value);
  process.stderr.write(`players: ${value || '--port'}: expected a number from 1 to 99999\n`);
  process.exit(exUsage);
}
