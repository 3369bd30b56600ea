import { runService } from '../run-service.ts';
import { parseQueueFlags, queueHelp } from './flags.ts';
import { startQueueService } from './queue-service.ts';

await runService(parseQueueFlags(process.argv.slice(2)), queueHelp, async ({ port, queueNames }) => {
  const service = await startQueueService({ port, queues: queueNames.map((name) => ({ name })) });
  const urls = [service.endpoint, ...queueNames.map((name) => service.queueUrl(name))];
  return { announcement: `Queue service at ${urls.join(' ')}`, close: () => service.close() };
});
