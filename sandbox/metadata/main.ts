import { runService } from '../run-service.ts';
import { metadataHelp, parseMetadataFlags, type ScheduledNotice } from './flags.ts';
import { type MetadataService, startMetadataService } from './metadata-service.ts';
import { isoSeconds } from './notices.ts';

await runService(parseMetadataFlags(process.argv.slice(2)), metadataHelp, async ({ port, instance, notice }) => {
  const service = await startMetadataService({ port, instance });
  const timer = notice && setTimeout(() => announce(service, notice), notice.afterMs);
  return {
    announcement: `Metadata service at ${service.url}`,
    close: async () => {
      clearTimeout(timer);
      await service.close();
    },
  };
});

function announce(service: MetadataService, { action, noticeMs }: ScheduledNotice): void {
  service.announce('spot', { action, time: isoSeconds(Date.now() + noticeMs) });
}
