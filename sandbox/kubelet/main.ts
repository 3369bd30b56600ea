import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { KubeCredentials } from '../../shared/kubernetes/kube-credentials.ts';
import { fixedCredentials } from '../kube-client/kube-client.ts';
import { type Kubelet, startKubelet } from './kubelet.ts';
import { parseFlags, type Server, usage } from './parse-flags.ts';
import { writeEvents } from './write-events.ts';

/** sysexits: a wrong command line, and a missing resource. */
const exUsage = 64;
const exUnavailable = 69;
/** The exit status of a container that was killed. */
const takenExitCode = 137;

const flags = parseFlags(process.argv.slice(2));
if (flags.kind === 'help') {
  process.stdout.write(usage);
} else if (flags.kind === 'bad') {
  process.stderr.write(`kubelet: ${flags.problems.join('; ')}\n`);
  process.exitCode = exUsage;
} else {
  await run(flags).catch(fail);
}

async function run({
  server,
  options,
  environment,
  root: givenRoot,
  exitWithParent,
}: Extract<typeof flags, { kind: 'run' }>): Promise<void> {
  const root = givenRoot ?? (await mkdtemp(join(tmpdir(), 'spotable-kubelet-')));
  const credentials = await credentialsOf(server);
  const compileCache = process.env['NODE_COMPILE_CACHE'];
  // Do not await the start here: a signal during the start must also end whatever has started.
  const started = startKubelet({
    ...options,
    credentials,
    root,
    imageEnvironment: {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: process.env['HOME'] ?? '/',
      // Images contain compiled code. Share a compile cache, so that the programs in their place are compiled only once
      // per machine.
      ...(compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache }),
      ...environment,
    },
    imageDirectory: process.cwd(),
    tell: writeEvents(process.stdout, Date.now),
  });
  let exitCode = 0;
  // The first of `stop` and `take` to finish ends the process: an instance can be taken while its pods are being ended.
  const end = async (how: (kubelet: Kubelet) => Promise<void>): Promise<void> => {
    await how(await started);
    if (givenRoot === undefined) await rm(root, { recursive: true, force: true });
    process.exit(exitCode);
  };
  const stop = once(() => void end((kubelet) => kubelet.stop()).catch(fail));
  const take = once(() => {
    exitCode = takenExitCode;
    end((kubelet) => kubelet.take()).catch(fail);
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', stop);
  process.on('SIGUSR2', take);
  if (exitWithParent) process.stdin.resume().once('close', take);
  await started.catch(fail);
}

async function credentialsOf(server: Server): Promise<KubeCredentials> {
  if (server.kind === 'url') return fixedCredentials(server.url, { token: server.token });
  const { KubeconfigCredentials, loadKubeconfigFile } = await import('../../shared/kubernetes/kubeconfig.ts');
  return new KubeconfigCredentials(() => loadKubeconfigFile(server.file));
}

function fail(error: unknown): void {
  process.stderr.write(`kubelet: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(exUnavailable);
}

/** Keep the handler in place: a second Ctrl-C must not end this process before its pods have ended. */
function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) act();
    isDone = true;
  };
}
