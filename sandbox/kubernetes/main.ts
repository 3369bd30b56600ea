import { writeFile } from 'node:fs/promises';
import { runService } from '../run-service.ts';
import { startApiServer } from './api-server.ts';
import { apiServerHelp, parseApiServerFlags } from './flags.ts';
import { kubeconfigOf } from './kubeconfig.ts';

await runService(parseApiServerFlags(process.argv.slice(2)), apiServerHelp, async (flags) => {
  const { port, latencyMs, rateLimit, kubeconfigFile } = flags;
  const server = await startApiServer({ port, latencyMs, ...(rateLimit && { rateLimit }) });
  try {
    if (kubeconfigFile !== undefined) await writeFile(kubeconfigFile, kubeconfigOf(server.url));
  } catch (error) {
    await server.close();
    throw error;
  }
  return { announcement: `Kubernetes API at ${server.url}`, close: () => server.close() };
});
