import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { exitStatus } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { type ApiServerFlags, apiServerHelp, parseApiServerFlags } from './flags.ts';
import { kubeconfigOf } from './kubeconfig.ts';

const flags = parseApiServerFlags(process.argv.slice(2));
switch (flags.kind) {
  case 'help':
    process.stdout.write(apiServerHelp);
    break;
  case 'problem':
    process.stderr.write(`${flags.message}\n`);
    process.exitCode = exitStatus.usage;
    break;
  case 'run':
    await run(flags);
    break;
}

async function run(flags: ApiServerFlags & { kind: 'run' }): Promise<void> {
  const { port, latencyMs, rateLimit, kubeconfigFile, exitsWithParent } = flags;
  let server: ApiServer | undefined;
  try {
    server = await startApiServer({ port, latencyMs, ...(rateLimit && { rateLimit }) });
    if (kubeconfigFile !== undefined) await writeFile(kubeconfigFile, kubeconfigOf(server.url));
    const ends = [once(process, 'SIGTERM'), once(process, 'SIGINT')];
    if (exitsWithParent) ends.push(once(process.stdin.resume(), 'end'));
    process.stdout.write(`Kubernetes API at ${server.url}\n`);
    await Promise.race(ends);
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = exitStatus.unavailable;
  } finally {
    // What still reads standard input would keep the process alive.
    process.stdin.destroy();
    await server?.close();
  }
}
