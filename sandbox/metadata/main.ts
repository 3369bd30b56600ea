import { once } from 'node:events';
import { exitStatus } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { type MetadataFlags, metadataHelp, parseMetadataFlags, type ScheduledNotice } from './flags.ts';
import { type MetadataService, startMetadataService } from './metadata-service.ts';
import { isoSeconds } from './notices.ts';

const flags = parseMetadataFlags(process.argv.slice(2));
switch (flags.kind) {
  case 'help':
    process.stdout.write(metadataHelp);
    break;
  case 'problem':
    process.stderr.write(`${flags.message}\n`);
    process.exitCode = exitStatus.usage;
    break;
  case 'run':
    await run(flags);
    break;
}

async function run({ port, instance, notice, exitsWithParent }: MetadataFlags & { kind: 'run' }): Promise<void> {
  try {
    const service = await startMetadataService({ port, instance });
    const timer = notice && setTimeout(() => announce(service, notice), notice.afterMs);
    const ends = [once(process, 'SIGTERM'), once(process, 'SIGINT')];
    if (exitsWithParent) ends.push(once(process.stdin.resume(), 'end'));
    process.stdout.write(`Metadata service at ${service.url}\n`);
    await Promise.race(ends);
    clearTimeout(timer);
    // An open standard input would keep the process alive.
    process.stdin.destroy();
    await service.close();
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = exitStatus.unavailable;
  }
}

function announce(service: MetadataService, { action, noticeMs }: ScheduledNotice): void {
  service.announce('spot', { action, time: isoSeconds(Date.now() + noticeMs) });
}
