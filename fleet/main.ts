import packageFile from '../package.json' with { type: 'json' };
import { systemClock } from '../shared/clock.ts';
import { exitStatus, FatalError } from '../shared/exit-status.ts';
import { connectToKubernetes } from '../shared/kubernetes/connect.ts';
import type { KubeConnection } from '../shared/kubernetes/kube-connection.ts';
import { errorText, type Log, silentLog } from '../shared/log.ts';
import type { Settings, Values } from '../shared/settings/read-settings.ts';
import { startUp } from '../shared/settings/start-up.ts';
import { stderrWriter } from '../shared/stderr-writer.ts';
import { convertFleet } from './agones/convert-fleet.ts';
import { RequestError } from './agones/request-error.ts';
import { Allocator } from './allocation/allocator.ts';
import { compareNames } from './allocation/choose.ts';
import { Taken } from './allocation/taken.ts';
import { requestOf, showAllocation } from './cli/allocate.ts';
import {
  allocateSettings,
  fileSettings,
  labelSelector,
  renderSettings,
  type ShowConfig,
  shiftSettings,
  showSettings,
} from './cli/commands.ts';
import { readDocuments, toYaml } from './cli/read-documents.ts';
import { watchScreen } from './cli/screen.ts';
import { shift } from './cli/shift.ts';
import { type Shown, showFleet, showList, showSessions } from './cli/show.ts';
import { progressBar } from './cli/text.ts';
import type { ClusterState } from './cluster/cluster-view.ts';
import { ClusterView } from './cluster/cluster-view.ts';
import { serveProblem, serveSettings } from './config.ts';
import { applyGameType, readGameType } from './game-types/apply-game-type.ts';
import { serve } from './serve/serve.ts';
import { SessionProtection } from './session-protection.ts';

const name = 'spotable-fleet';
const clock = systemClock;
const stderr = stderrWriter('fleet');
const maxListMs = 30_000;

const usage = `Usage: ${name} COMMAND [FLAGS]

Fleets of game servers on plain Deployments: warm ones that Kubernetes rolls out, and sessions that nothing ends.

  list                          the fleets of a namespace
  describe FLEET                one fleet: roll-out, versions, sessions
  sessions                      every session, and where it is
  allocate [SELECTOR ...]       give a session to a game server; SELECTOR is KEY=VALUE,.. , the first that fits counts
  shift --from A --to B         move warm game servers from one fleet to another
  convert --file FILE           turn an Agones Fleet into a Deployment
  render --file FILE ..         write pods and templates out with what their GameTypes say
  serve                         the process that matchmakers ask (POST /gameserverallocation)

${name} COMMAND --help tells more. The cluster is found by KUBECONFIG, or the pod's service account.
`;

const summaries: Readonly<Record<string, string>> = {
  list: 'Shows the fleets of a namespace: Deployments whose selector holds spotable.dev/allocation=unallocated.',
  describe: 'Shows one fleet: its roll-out, its versions with their sessions, and where those are.',
  sessions: 'Shows every session of a namespace, and the game server that has it.',
  allocate: `Gives a session to a game server. Selectors count in order: allocate agones.dev/fleet=v2 game=my-awesome-game
takes one of v2 where there is one, and else any of the game.`,
  shift: `Moves warm game servers from one fleet to another, a share at a time: raises the one, waits until it is ready, lowers
the other. Broken off, it goes on with the same command; --from and --to exchanged take it back.`,
  render: `Writes every document of the files with what its GameType says, as the mutating admission policy of manifests/game-types does
to pods (Kubernetes 1.36 and newer). For older clusters, and to see what a type does.`,
  convert: 'Turns the Fleet of Agones in a file into a Deployment on stdout, and says on stderr what differs.',
  serve: `Serves allocations as Agones' allocator does (POST /gameserverallocation), and keeps fleets: overflow marks, maximum, spent
game servers, sessions that were never taken. Run two replicas of it.`,
};

const [command = '', ...argv] = process.argv.slice(2);
void main(command, argv).then((status) => {
  process.exitCode = status;
});

async function main(word: string, args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  const asked = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => (asked.signal.aborted ? stop : asked).abort());
  // The reader of a pipe (`| head`) has closed it.
  process.stdout.on('error', () => asked.abort());
  try {
    return await run(word, args, asked.signal);
  } catch (error) {
    if (error instanceof RequestError) return complain(error.message, exitStatus.usage);
    if (error instanceof FatalError) return complain(error.message, error.status);
    if (asked.signal.aborted) return 0;
    throw error;
  }
}

async function run(word: string, args: readonly string[], asked: AbortSignal): Promise<number> {
  switch (word) {
    case 'serve':
      return withSettings(word, args, serveSettings, '', (config) => runServe(config, asked));
    case 'list':
      return withSettings(word, args, showSettings, '', (config) => runShow(config, showList, asked));
    case 'sessions':
      return withSettings(word, args, showSettings, '', (config) => runShow(config, showSessions, asked));
    case 'describe': {
      const { names, flags } = namesFirst(args);
      return withSettings(word, flags, showSettings, 'FLEET', (config) => {
        const [fleet] = names;
        if (fleet === undefined || names.length > 1) throw usageError('describe takes the name of one fleet');
        return runShow(config, (state) => showFleet(state, fleet), asked);
      });
    }
    case 'allocate': {
      const { names, flags } = namesFirst(args);
      return withSettings(word, flags, allocateSettings, '[SELECTOR ...]', (config) => runAllocate(config, names));
    }
    case 'shift':
      return withSettings(word, args, shiftSettings, '', (config) => runShift(config, asked));
    case 'convert':
      return withSettings(word, args, fileSettings, '', ({ file }) => runConvert(file));
    case 'render':
      return withSettings(word, args, renderSettings, '', ({ file }) => runRender(file));
    case '--version':
      process.stdout.write(`${name} ${packageFile.version}\n`);
      return 0;
    case '':
    case '--help':
    case '-h':
    case 'help':
      (word === '' ? stderr : (text: string) => process.stdout.write(text))(usage);
      return word === '' ? exitStatus.usage : 0;
    default:
      return complain(
        `Unknown ${word.startsWith('-') ? 'flag' : 'command'} ${JSON.stringify(word)}: see --help`,
        exitStatus.usage,
      );
  }
}

/** Splits the arguments at the first flag. */
function namesFirst(args: readonly string[]): { readonly names: readonly string[]; readonly flags: readonly string[] } {
  const at = args.findIndex((argument) => argument.startsWith('-'));
  return at < 0 ? { names: args, flags: [] } : { names: args.slice(0, at), flags: args.slice(at) };
}

async function withSettings<S extends Settings>(
  word: string,
  args: readonly string[],
  settings: S,
  names: string,
  act: (config: Values<S>) => Promise<void>,
): Promise<number> {
  const program = {
    name: `${name} ${word}`,
    version: packageFile.version,
    usage: `${name} ${word} ${names === '' ? '' : `${names} `}[FLAGS]`,
    summary: summaries[word] ?? '',
    footer:
      'Exit status: 0; 64 wrong flag; 66 no such fleet or file; 75 not now; 78 wrong environment variable or no cluster.',
  };
  // kubectl's name for --file is -f.
  const expanded = args.map((argument) => (argument === '-f' ? '--file' : argument));
  const start = startUp(settings, program, { argv: expanded, env: process.env });
  if (start.kind === 'end') {
    process.stdout.write(start.stdout);
    stderr(start.stderr);
    return start.status;
  }
  await act(start.values);
  return 0;
}

async function runServe(config: Values<typeof serveSettings>, asked: AbortSignal): Promise<void> {
  const problem = serveProblem(config);
  if (problem !== undefined) throw new FatalError(problem, { status: exitStatus.config });
  // Load them only for `serve`: they would cost every command a tenth of a second.
  const [{ pino }, { FleetMetrics }] = await Promise.all([import('pino'), import('./serve/metrics.ts')]);
  const log = pino({ name: 'fleet', level: config.logLevel }, { write: stderr });
  log.info(config, 'Fleet process starts');
  const metrics = new FleetMetrics(packageFile.version);
  const connection = await connectToKubernetes(process.env, {
    onCall: (method, status, ms) => metrics.called(method, status, ms),
  });
  try {
    await serve({ config, connection, metrics, clock, log }, asked);
  } finally {
    connection.close();
  }
}

/** Follows the namespace for as long as `act` takes. */
async function withView(
  namespace: string,
  asked: AbortSignal,
  act: (
    parts: { readonly view: ClusterView; readonly connection: KubeConnection },
    signal: AbortSignal,
  ) => Promise<void>,
): Promise<void> {
  const connection = await connectToKubernetes(process.env);
  const done = new AbortController();
  const signal = AbortSignal.any([asked, done.signal]);
  let trouble = '';
  const log: Log = { ...silentLog, warn: (fields) => (trouble = errorText(Object(fields).err)) };
  const view = new ClusterView({ connection, namespace, clock, log });
  const following = view.follow(signal);
  try {
    await view.complete(AbortSignal.any([signal, AbortSignal.timeout(maxListMs)])).catch((error: unknown) => {
      if (asked.aborted) throw error;
      throw new FatalError(`Cannot see the fleets of ${namespace}: ${trouble || errorText(error)}`, {
        status: exitStatus.unavailable,
        cause: error,
      });
    });
    await act({ view, connection }, signal);
  } finally {
    done.abort();
    await following;
    connection.close();
  }
}

async function runShow(config: ShowConfig, show: (state: ClusterState) => Shown, asked: AbortSignal): Promise<void> {
  await withView(config.namespace, asked, async ({ view }, signal) => {
    const write = (text: string) => process.stdout.write(text);
    const screen = { view, clock, write, isTerminal: process.stdout.isTTY === true, isJson: config.json };
    if (config.watch) await watchScreen(screen, () => show(view), signal);
    else print(show(view), config.json);
  });
}

async function runAllocate(config: Values<typeof allocateSettings>, names: readonly string[]): Promise<void> {
  const selectors = names.map((word) => {
    const parsed = labelSelector(word);
    if ('value' in parsed) return parsed.value;
    throw usageError(`Invalid selector ${JSON.stringify(word)}: expected ${parsed.expected}`);
  });
  if (config.file !== undefined && names.length > 0) throw usageError('Selectors stand in the file, or in the command');
  const request = await requestOf(config, selectors);
  const limit = AbortSignal.timeout(config.timeoutMs);
  await withView(request.namespace, limit, async ({ view, connection }, signal) => {
    const protection = new SessionProtection({ connection, clock, log: silentLog });
    await protection.look(signal);
    const allocator = new Allocator({
      ...{ connection, view, taken: new Taken(), clock, log: silentLog },
      isProtected: () => protection.isThere,
      compareEquals: compareNames,
      random: Math.random,
    });
    const outcome = await allocator.allocate(request, signal);
    print(
      showAllocation(outcome, (node) => view.nodes.get(node)),
      config.json,
    );
  });
}

async function runShift(config: Values<typeof shiftSettings>, asked: AbortSignal): Promise<void> {
  const { from, to, step, until, readyMs, json } = config;
  await withView(config.namespace, asked, ({ view, connection }, signal) =>
    shift(
      {
        ...{ connection, view, clock, from, to, step, until, readyMs },
        onProgress: (progress) => {
          const line = json
            ? JSON.stringify(progress)
            : `${progressBar(progress.to.warm, progress.target)} ${from} ${progress.from.warm}, ${to} ${progress.to.warm} (${progress.to.ready} ready): ${progress.step}`;
          process.stdout.write(`${line}\n`);
        },
      },
      signal,
    ),
  );
}

async function runConvert(file: string): Promise<void> {
  for (const document of await readDocuments(file)) {
    const { deployment, remarks } = convertFleet(document);
    process.stdout.write(`---\n${await toYaml(deployment)}`);
    for (const remark of remarks) stderr(`${name}: ${remark}\n`);
  }
}

/** Game types and the objects that use them may come in any order and file. Does not print the types themselves. */
async function runRender(files: readonly string[]): Promise<void> {
  const documents = (await Promise.all(files.map((file) => readDocuments(file)))).flat();
  try {
    const found = documents.map((document) => readGameType(document)).filter((type) => type !== undefined);
    const types = new Map(found.map((type) => [type.name, type]));
    for (const document of documents)
      if (document !== null && readGameType(document) === undefined)
        process.stdout.write(`---\n${await toYaml(applyGameType(document, types))}`);
  } catch (error) {
    throw new FatalError(errorText(error), { status: exitStatus.noInput, cause: error });
  }
}

function print({ json, lines }: Shown, isJson: boolean): void {
  process.stdout.write(isJson ? `${JSON.stringify(json, null, 2)}\n` : `${lines(clock.now()).join('\n')}\n`);
}

function usageError(message: string): FatalError {
  return new FatalError(message, { status: exitStatus.usage });
}

function complain(message: string, status: number): number {
  stderr(`${name}: ${message}\n`);
  return status;
}
