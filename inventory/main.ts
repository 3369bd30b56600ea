import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import packageFile from '../package.json' with { type: 'json' };
import { systemClock } from '../shared/clock.ts';
import { exitStatus, FatalError } from '../shared/exit-status.ts';
import { errorText, jsonLog } from '../shared/log.ts';
import { type ProgramText, startUp } from '../shared/settings/start-up.ts';
import { stderrWriter } from '../shared/stderr-writer.ts';
import { defaultStatePath, type InventoryConfig, inventorySettings } from './config.ts';
import { InventoryView } from './fold/inventory-view.ts';
import { Intake } from './intake.ts';
import { Notices } from './notices.ts';
import { choosePresenter } from './presenter.ts';
import { LeaseClock } from './queue/lease-clock.ts';
import { receiveWaitSeconds } from './queue/queue.ts';
import { SqsQueue } from './queue/sqs-queue.ts';
import { readInventory } from './reader.ts';
import { type InventoryServer, serveInventory } from './serve/serve-inventory.ts';
import { InventoryStore } from './store/inventory-store.ts';
import { Timeline } from './timeline.ts';

const program: ProgramText = {
  name: 'spotable-inventory',
  version: packageFile.version,
  usage: 'spotable-inventory --queue-url URL [FLAGS]',
  summary: `Reads inventory events from an SQS queue and keeps the table of game servers. It deletes what it reads: give each
reader a queue of its own. Finds AWS credentials as the AWS SDK does.`,
  footer: `On a terminal: arrows, page keys and g scroll, q ends.
Exit status: 0 after SIGTERM, SIGINT, q or --once; 64 wrong flag; 69 no such queue, or address in use; 71 state file cannot be
written; 73 state file cannot be opened; 77 no right to read the queue; 78 wrong environment variable.`,
};

// By default V8 lets garbage grow to several times the size of the table: 370 MiB in all instead of 200 with 20,000
// game servers. These flags cost a quarter more CPU; --optimize-for-size would cost three quarters.
for (const flag of ['--heap-growing-percent=80', '--semi-space-growth-factor=1']) setFlagsFromString(flag);

const write = stderrWriter('inventory');
const start = startUp(inventorySettings, program, { argv: process.argv.slice(2), env: process.env });
if (start.kind === 'end') {
  process.stdout.write(start.stdout);
  write(start.stderr);
  process.exitCode = start.status;
} else {
  // A CommonJS bundle has no top-level await. A rejection ends the process with its stack trace.
  void main(start.values).then((status) => {
    process.exitCode = status;
  });
}

async function main(config: InventoryConfig): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  // The reader of the pipe has closed it, as `| head` does.
  process.stdout.on('error', () => stop.abort());
  try {
    await compose(config, stop);
    return 0;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    write(`${program.name}: ${error.message}\n`);
    return error.status;
  }
}

async function compose(config: InventoryConfig, stop: AbortController): Promise<void> {
  const { queueUrl, once: isOnce, pollers: maxPollers } = config;
  const now = systemClock.now;
  const store = openStore(config);
  const isLive = process.stdout.isTTY === true && !config.json && !config.once;
  const notices = new Notices({
    first: `Reading ${queueUrl.href}`,
    sink: isLive ? undefined : jsonLog({ write, now, name: program.name }),
  });
  const queue = new SqsQueue({
    queueUrl: queueUrl.href,
    region: config.region,
    endpoint: config.endpoint?.href,
    now,
    // With --once the first empty response ends the reader. A short wait still makes SQS ask all its servers.
    waitSeconds: isOnce ? 1 : receiveWaitSeconds,
  });
  let server: InventoryServer | undefined;
  try {
    const stored = store.read();
    const leaseClock = new LeaseClock(stored.leaseNowMs);
    const view = new InventoryView({ keepEndedMs: config.keepEndedMs });
    view.restore(stored.gameServers, stored.nodes);
    view.expire(leaseClock.nowMs);
    const timeline = new Timeline(stored.timeline);
    const counts = new Map(stored.counts);
    const count = (name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
    const intake = new Intake({
      view,
      store,
      leaseClock,
      now,
      onCount: count,
    });
    if (config.serve !== undefined) {
      const setAside = (limit: number) => store.setAside(limit);
      server = await serveInventory({ ...config.serve, view, timeline, counts, setAside, now });
      notices.log.info({ url: server.url }, 'Inventory server listening');
    }
    const presenter = choosePresenter({
      output: process.stdout,
      input: process.stdin,
      isJson: config.json,
      isOnce,
      hasColor: hasColor(config),
      view: () => ({ rows: view.rows(), nodes: view.nodes(), timeline: timeline.entries(), notice: notices.last }),
      now,
      quit: () => stop.abort(),
    });
    const options = { queue, intake, clock: systemClock, log: notices.log, maxPollers, isOnce };
    try {
      await readInventory(
        {
          ...options,
          onRequest: (action) => count(`request/${action}`),
          onChanges: (changes) => {
            presenter.changed(changes, timeline.add(changes, now()));
            server?.changed(changes);
          },
        },
        stop.signal,
      );
      intake.flush();
      presenter.end();
    } finally {
      presenter.close();
    }
  } finally {
    await server?.close();
    queue.close();
    store.close();
  }
}

function openStore({ state, queueUrl }: InventoryConfig): InventoryStore {
  const path = state ?? defaultStatePath(queueUrl.href, process.env);
  if (path !== ':memory:') {
    try {
      mkdirSync(dirname(path), { recursive: true });
    } catch (error) {
      throw new FatalError(`Cannot create the folder of inventory state ${path}: ${errorText(error)}`, {
        status: exitStatus.cannotCreate,
        cause: error,
      });
    }
  }
  return new InventoryStore(path, queueUrl.href);
}

function hasColor({ color }: InventoryConfig): boolean {
  if (color !== 'auto') return color === 'always';
  return process.stdout.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}
