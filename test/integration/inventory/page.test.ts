import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { InventoryView } from '../../../inventory/fold/inventory-view.ts';
import { type InventoryServer, serveInventory } from '../../../inventory/serve/serve-inventory.ts';
import { Timeline } from '../../../inventory/timeline.ts';
import type { GameServerState, InventoryEvent } from '../../../shared/events/event.ts';
import { until } from './event-queue-fixture.ts';
import { sampleEvent, sampleNodeEvent } from './sample-events.ts';

const chromiumPath = '/usr/bin/chromium';
const playwright = await import('playwright-core').catch(() => undefined);
const missing = !existsSync(chromiumPath)
  ? `no ${chromiumPath}: apt-get install chromium`
  : playwright === undefined && 'playwright-core is not installed';

const nodes = 500;
const gameServersPerNode = 20;
const picture = new URL('../../../docs/images/inventory-page.png', import.meta.url).pathname;

/** The inventory of a fleet, as the reader would serve it. */
class ServedFleet {
  readonly view: InventoryView = new InventoryView();
  readonly timeline: Timeline = new Timeline();
  #server: InventoryServer | undefined;

  async serve(port = 0): Promise<string> {
    this.#server = await serveInventory({ view: this.view, timeline: this.timeline, port, now: Date.now });
    return this.#server.url;
  }

  put(event: InventoryEvent): void {
    const outcome = this.view.apply(event, Date.now());
    if (outcome.kind !== 'folded') throw new Error(`Cannot fold ${event.id}: ${outcome.kind}`);
    this.timeline.add(outcome.changes, Date.now());
    this.#server?.changed(outcome.changes);
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }
}

const nodeName = (index: number): string => `ip-10-0-${index >> 6}-${(index * 37) % 250}.eu-west-1.compute.internal`;
const gameServerId = (node: number, index: number): string => `arena-${node}-${index}`;

function gameServer(node: number, index: number, status: GameServerState, sequence = 1): InventoryEvent {
  return sampleEvent({
    id: gameServerId(node, index),
    status,
    sequence,
    node: nodeName(node),
    zone: `eu-west-1${'abc'[node % 3]}`,
    instance_type: ['c7g.2xlarge', 'c6i.2xlarge', 'm6a.2xlarge'][node % 3] ?? null,
    public_port: 20_000 + 2 * index,
    players: (node * 7 + index * 3) % 17,
    leaseMs: 3_600_000,
  });
}

function bigFleet(): ServedFleet {
  const fleet = new ServedFleet();
  const states = [
    'ready',
    'allocated',
    'allocated',
    'ready',
    'ready',
    'allocated',
    'starting',
    'allocated',
    'terminated',
  ] as const;
  for (let node = 0; node < nodes; node++)
    for (let index = 0; index < gameServersPerNode; index++)
      fleet.put(
        gameServer(node, index, states[(node * 5 + index * 3 + ((node * index) >> 2)) % states.length] ?? 'ready'),
      );
  return fleet;
}

describe('the page, in a browser', { skip: missing }, () => {
  let browser: Browser;
  before(async () => {
    if (playwright === undefined) throw new Error('Cannot start a browser: playwright-core is missing');
    browser = await playwright.chromium.launch({ executablePath: chromiumPath, chromiumSandbox: false });
  });
  after(() => browser.close());

  /** A page that fails the test for whatever it complains of. */
  async function open(url: string, complaints: string[], colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, colorScheme });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('dialog', (dialog) => complaints.push(dialog.message()));
    await page.goto(url);
    await untilConnection(page, 'live');
    return page;
  }

  const count = async (page: Page, state: GameServerState): Promise<number> =>
    Number((await page.textContent(`#counts [data-state="${state}"] b`))?.replace(/\D/g, ''));

  const untilCount = (page: Page, state: GameServerState, expected: number, withinMs = 20_000): Promise<void> =>
    until(`${expected} are ${state}`, async () => (await count(page, state)) === expected, withinMs);

  const untilConnection = (page: Page, state: string): Promise<void> =>
    until(`the page is ${state}`, async () => (await page.textContent('#connection')) === state);

  test('it shows 10,000 game servers, and an interruption within a second of its event', async () => {
    const fleet = bigFleet();
    const complaints: string[] = [];
    try {
      const page = await open(await fleet.serve(), complaints);
      const shown = await Promise.all(
        (['starting', 'ready', 'allocated', 'terminating', 'terminated', 'lost'] as const).map((state) =>
          count(page, state),
        ),
      );
      assert.equal(
        shown.reduce((sum, each) => sum + each, 0),
        nodes * gameServersPerNode,
      );
      const ready = await count(page, 'ready');
      const changedMs = Date.now();
      fleet.put(gameServer(3, 99, 'ready'));
      await untilCount(page, 'ready', ready + 1, 1000);
      assert.ok(Date.now() - changedMs < 1000);
      fleet.put(sampleNodeEvent(nodeName(200), 'interrupted', 1));
      await page.waitForSelector('#alarms .alarm', { timeout: 1000 });
      assert.match((await page.textContent('#alarms .alarm')) ?? '', /^(1:5\d|2:00)ip-10-0-3-150$/);
      assert.match((await page.textContent('#log-lines')) ?? '', /ip-10-0-3-150 interrupted/);
      const first = await page.textContent('#alarms .alarm b');
      await until('it counts down', async () => (await page.textContent('#alarms .alarm b')) !== first, 3000);
      assert.deepEqual(complaints, []);
      await page.close();
    } finally {
      await fleet.close();
    }
  });

  test('keys alone lead to the interrupted nodes and to a table of what is on them', async () => {
    const fleet = bigFleet();
    const complaints: string[] = [];
    for (const [index, node] of [250, 31, 400].entries())
      fleet.put(sampleNodeEvent(nodeName(node), 'interrupted', 1, Date.now() - index * 20_000));
    try {
      const page = await open(await fleet.serve(), complaints);
      const visited = new Set<string>();
      for (let press = 0; press < 3; press++) {
        await page.keyboard.press('n');
        visited.add((await page.getAttribute('#details h3', 'title')) ?? '');
        assert.match(
          (await page.textContent('#details .fate')) ?? '',
          /^interrupted \(spot-termination, terminate\), taken in /,
        );
        assert.match((await page.textContent('#spoken')) ?? '', /interrupted .* 20 game servers: /);
      }
      assert.deepEqual([...visited].sort(), [250, 31, 400].map(nodeName).sort());
      assert.equal(await page.locator('#details tbody tr').count(), gameServersPerNode);
      const scrolled = await page.evaluate<number>(`document.querySelector('#fleet').scrollTop`);
      assert.ok(scrolled > 0, 'the selected node is in view');
      await page.keyboard.press('ArrowRight');
      assert.ok(!visited.has((await page.getAttribute('#details h3', 'title')) ?? ''));
      await page.keyboard.press('4');
      assert.equal(await page.getAttribute('#counts [data-state="terminating"]', 'aria-pressed'), 'true');
      await page.keyboard.press('/');
      await page.keyboard.type('n4');
      assert.equal(await page.inputValue('#filter'), 'n4', 'keys are text while somebody types');
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      assert.ok(await page.isVisible('#help'));
      assert.deepEqual(complaints, []);
      await page.close();
    } finally {
      await fleet.close();
    }
  });

  test('it draws what is in view only, so that scrolling through 10,000 game servers stays smooth', async () => {
    const fleet = bigFleet();
    try {
      const page = await open(await fleet.serve(), []);
      // Text, because this program's types know no DOM.
      const frames = await page.evaluate<number[]>(`(async () => {
        const area = document.querySelector('#fleet');
        const took = [];
        for (let frame = 0, before = performance.now(); frame < 90; frame++) {
          area.scrollTop += 120;
          await new Promise(requestAnimationFrame);
          took.push(performance.now() - before);
          before = performance.now();
        }
        return took.sort((one, other) => one - other);
      })()`);
      const median = frames[45] ?? Infinity;
      // 60 frames a second are 17 ms; a busy machine without a graphics card gets three times that.
      assert.ok(median < 50, `the median frame took ${median} ms`);
      await page.close();
    } finally {
      await fleet.close();
    }
  });

  test('it survives a restart of the server and then shows the new table', async () => {
    const fleet = new ServedFleet();
    fleet.put(gameServer(1, 1, 'ready'));
    const complaints: string[] = [];
    const url = await fleet.serve();
    const page = await open(url, complaints);
    await untilCount(page, 'ready', 1);
    await fleet.close();
    await untilConnection(page, 'reconnecting');
    const next = new ServedFleet();
    for (const index of [1, 2, 3]) next.put(gameServer(1, index, 'allocated'));
    await next.serve(Number(new URL(url).port));
    try {
      await untilCount(page, 'allocated', 3);
      assert.equal(await count(page, 'ready'), 0);
      next.put(gameServer(1, 1, 'terminated', 2));
      await untilCount(page, 'terminated', 1);
      assert.deepEqual(complaints, []);
      await page.close();
    } finally {
      await next.close();
    }
  });

  test('what senders write stays text', async () => {
    const fleet = new ServedFleet();
    const markup = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    fleet.put(
      sampleEvent({
        id: 'gs-1',
        status: 'ready',
        sequence: 1,
        node: markup,
        public_hostname: markup,
        public_ip: null,
        reason: markup,
        zone: markup.slice(0, 60),
      }),
    );
    const complaints: string[] = [];
    try {
      const page = await open(await fleet.serve(), complaints);
      await untilCount(page, 'ready', 1);
      await page.keyboard.press('End');
      assert.ok((await page.textContent('#details'))?.includes(markup));
      assert.equal(await page.locator('img').count(), 0);
      assert.deepEqual(complaints, []);
      await page.close();
    } finally {
      await fleet.close();
    }
  });

  test('it can be looked at', {
    skip: !process.env['UPDATE_SCREENSHOT'] && 'UPDATE_SCREENSHOT is not set',
  }, async () => {
    const fleet = bigFleet();
    for (const [index, node] of [12, 45, 78].entries())
      fleet.put(sampleNodeEvent(nodeName(node), 'interrupted', 1, Date.now() - index * 25_000));
    fleet.put(sampleNodeEvent(nodeName(15), 'at-risk', 1));
    fleet.put(gameServer(45, 3, 'terminated', 2));
    fleet.put(gameServer(45, 4, 'lost', 2));
    try {
      const page = await open(await fleet.serve(), []);
      await page.keyboard.press('n');
      await page.waitForSelector('#details tbody tr');
      mkdirSync(new URL('.', `file://${picture}`).pathname, { recursive: true });
      await page.screenshot({ path: picture });
      await page.close();
    } finally {
      await fleet.close();
    }
  });
});
