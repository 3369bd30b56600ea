import process from 'node:process';
import { parseArgs } from 'node:util';
import { playUntil } from '../player.ts';

const usage = `Usage: node sandbox/game/players/main.ts --port N [--host IP] [--players N] [--rate N] [--seconds N]

Keeps players at a game server, each sending --rate datagrams a second (20), for --seconds or until SIGINT or SIGTERM. The last
line of stdout is a JSON object: players, sent, answered, lost, repeated, longestGapMs, toldClosing.
`;
const exUsage = 64;
const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '' },
    players: { type: 'string', default: '1' },
    rate: { type: 'string', default: '20' },
    seconds: { type: 'string' },
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
  if (port !== undefined && players !== undefined && perSecond !== undefined) {
    process.stdout.write(`${JSON.stringify(await playUntil({ host, port, players, perSecond }, end.signal))}\n`);
    process.exit(0);
  }
}

function readNumber(value: string): number | undefined {
  if (/^[1-9]\d{0,4}$/.test(value)) return Number(value);
  process.stderr.write(`players: ${value || '--port'}: expected a number from 1 to 99999\n`);
  process.exit(exUsage);
}
