import { parseArgs } from 'node:util';
import { errorText } from '../../shared/log.ts';
import { runFailovers } from './failovers.ts';
import { runFlood } from './flood.ts';
import { compilePrograms } from './programs.ts';
import { runSpeed } from './speed.ts';

// npm run bench -- fanout [speed|failovers|flood|crowd] [--rounds N] [--run-ms N]
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    'run-ms': { type: 'string', default: '600' },
    players: { type: 'string', default: '200' },
    failovers: { type: 'string', default: '100' },
    addresses: { type: 'string' },
    'flood-rate': { type: 'string' },
    transport: { type: 'string', default: 'native' },
  },
});
const floods = {
  flood: { addresses: 1_000_000, perSecond: 50_000, rounds: 1 },
  crowd: { addresses: 100_000, perSecond: 20_000, rounds: 8 },
};
const programs = await compilePrograms();
if ('reason' in programs) {
  console.log(`skipped: ${programs.reason}`);
  console.log(JSON.stringify({ skipped: programs.reason }));
} else {
  try {
    const part = positionals[0] ?? 'speed';
    switch (part) {
      case 'speed':
        console.log(
          JSON.stringify(await runSpeed(programs, { rounds: Number(values.rounds), runMs: Number(values['run-ms']) })),
        );
        break;
      case 'failovers':
        console.log(
          JSON.stringify(
            await runFailovers(programs, {
              players: Number(values.players),
              failovers: Number(values.failovers),
              transport: values.transport,
            }),
          ),
        );
        break;
      case 'flood':
      case 'crowd': {
        const { addresses, perSecond, rounds } = floods[part];
        console.log(
          JSON.stringify(
            await runFlood(programs, {
              addresses: Number(values.addresses ?? addresses),
              perSecond: Number(values['flood-rate'] ?? perSecond),
              transport: values.transport,
              rounds,
            }),
          ),
        );
        break;
      }
      default:
        console.error(`bench fanout: Unknown part ${part}: expected speed, failovers, flood or crowd`);
        process.exitCode = 64;
    }
  } catch (error) {
    console.error(`bench fanout: ${errorText(error)}`);
    process.exitCode = 1;
  } finally {
    await programs.remove();
  }
}
