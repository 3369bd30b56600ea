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
    path: { type: 'string', default: 'fast' },
  },
});
const programs = await compilePrograms();
if ('reason' in programs) {
  console.log(`skipped: ${programs.reason}`);
  console.log(JSON.stringify({ skipped: programs.reason }));
} else {
  try {
    switch (positionals[0] ?? 'speed') {
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
              path: values.path,
            }),
          ),
        );
        break;
      case 'flood':
        console.log(
          JSON.stringify(
            await runFlood(programs, {
              addresses: Number(values.addresses ?? 1_000_000),
              perSecond: Number(values['flood-rate'] ?? 50_000),
              path: values.path,
              rounds: 1,
            }),
          ),
        );
        break;
      case 'crowd':
        console.log(
          JSON.stringify(
            await runFlood(programs, {
              addresses: Number(values.addresses ?? 100_000),
              perSecond: Number(values['flood-rate'] ?? 20_000),
              path: values.path,
              rounds: 8,
            }),
          ),
        );
        break;
      default:
        console.error(`bench fanout: Unknown part ${positionals[0]}: expected speed, failovers, flood or crowd`);
        process.exitCode = 64;
    }
  } catch (error) {
    console.error(`bench fanout: ${errorText(error)}`);
    process.exitCode = 1;
  } finally {
    await programs.remove();
  }
}
