import { once } from 'node:events';
import { exitStatus } from '../shared/exit-status.ts';
import { errorText } from '../shared/log.ts';

/**
 * What a service's command line asks for. `exitsWithParent`: end when standard input ends, as it does with the parent.
 */
type ServiceFlags =
  | { readonly kind: 'help' }
  | { readonly kind: 'problem'; readonly message: string }
  | { readonly kind: 'run'; readonly exitsWithParent: boolean };
type RunFlags<Flags> = Extract<Flags, { readonly kind: 'run' }>;

export interface RunningService {
  /** The line on stdout that says where the service is. */
  readonly announcement: string;
  close(): Promise<void>;
}

/**
 * The life of a sandbox service as a process: prints help or a problem, or runs until a signal or its parent ends it.
 */
export async function runService<Flags extends ServiceFlags>(
  flags: Flags,
  help: string,
  start: (flags: RunFlags<Flags>) => Promise<RunningService>,
): Promise<void> {
  switch (flags.kind) {
    case 'help':
      process.stdout.write(help);
      break;
    case 'problem':
      process.stderr.write(`${flags.message}\n`);
      process.exitCode = exitStatus.usage;
      break;
    case 'run':
      await serve(() => start(flags as RunFlags<Flags>), flags.exitsWithParent);
      break;
  }
}

async function serve(start: () => Promise<RunningService>, exitsWithParent: boolean): Promise<void> {
  let service: RunningService | undefined;
  try {
    service = await start();
    const ends = [once(process, 'SIGTERM'), once(process, 'SIGINT')];
    if (exitsWithParent) ends.push(once(process.stdin.resume(), 'end'));
    process.stdout.write(`${service.announcement}\n`);
    await Promise.race(ends);
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = exitStatus.unavailable;
  } finally {
    // An open standard input would keep the process alive.
    process.stdin.destroy();
    await service?.close();
  }
}
