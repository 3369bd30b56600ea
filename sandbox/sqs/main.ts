import { once } from 'node:events';
import { exitStatus } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { parseQueueFlags, type QueueFlags, queueHelp } from './flags.ts';
import { startQueueService } from './queue-service.ts';

const flags = parseQueueFlags(process.argv.slice(2));
switch (flags.kind) {
  case 'help':
    process.stdout.write(queueHelp);
    break;
  case 'problem':
    process.stderr.write(`${flags.message}\n`);
    process.exitCode = exitStatus.usage;
    break;
  case 'run':
    await run(flags);
    break;
}

async function run({ port, queueNames, exitsWithParent }: QueueFlags & { kind: 'run' }): Promise<void> {
  try {
    const service = await startQueueService({ port, queues: queueNames.map((name) => ({ name })) });
    const ends = [once(process, 'SIGTERM'), once(process, 'SIGINT')];
    if (exitsWithParent) ends.push(once(process.stdin.resume(), 'end'));
    process.stdout.write(
      `Queue service at ${[service.endpoint, ...queueNames.map((name) => service.queueUrl(name))].join(' ')}\n`,
    );
    await Promise.race(ends);
    // An open standard input would keep the process alive.
    process.stdin.destroy();
    await service.close();
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = exitStatus.unavailable;
  }
}
