import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { InventoryView } from '../../../inventory/fold/inventory-view.ts';
import type { GameServerRow } from '../../../inventory/fold/rows.ts';
import { openApiDocument } from '../../../inventory/serve/openapi.ts';
import { routes } from '../../../inventory/serve/routes.ts';
import { type InventoryServer, serveInventory } from '../../../inventory/serve/serve-inventory.ts';
import { Timeline } from '../../../inventory/timeline.ts';
import type { InventoryEvent } from '../../../shared/events/event.ts';
import { until } from './event-queue-fixture.ts';
import { sampleEvent, sampleNodeEvent } from './sample-events.ts';

interface Served extends AsyncDisposable {
  readonly server: InventoryServer;
  readonly view: InventoryView;
  put(...events: readonly InventoryEvent[]): void;
  get(path: string): Promise<Response>;
  /** A JSON answer; which fields it has depends on the path. */
  getJson(path: string): Promise<Answer>;
}

interface Answer {
  readonly game_servers: readonly GameServerRow[];
  readonly next: string | null;
  readonly position: string;
}

async function serve(events: readonly InventoryEvent[] = []): Promise<Served> {
  const view = new InventoryView();
  const timeline = new Timeline();
  const setAside = () => [
    { atMs: Date.now(), messageId: 'm1', code: 'not-json', reason: 'event: expected JSON, found "x"', body: 'x' },
  ];
  const counts = new Map([['folded', 3]]);
  const server = await serveInventory({ view, timeline, setAside, counts, port: 0, now: Date.now });
  const put = (...more: readonly InventoryEvent[]): void => {
    for (const event of more) {
      const outcome = view.apply(event, Date.now());
      if (outcome.kind !== 'folded') throw new Error(`Cannot fold ${event.id}: ${outcome.kind}`);
      timeline.add(outcome.changes, Date.now());
      server.changed(outcome.changes);
    }
  };
  put(...events);
  const get = (path: string): Promise<Response> =>
    fetch(new URL(path, server.url), { signal: AbortSignal.timeout(10_000) });
  return {
    server,
    view,
    put,
    getJson: async (path) => (await (await get(path)).json()) as Answer,
    get,
    [Symbol.asyncDispose]: () => server.close(),
  };
}

const fleet: readonly InventoryEvent[] = [
  sampleEvent({ id: 'gs-1', status: 'ready', sequence: 1, labels: { map: 'dust2', mode: 'ranked' } }),
  sampleEvent({ id: 'gs-2', status: 'allocated', sequence: 1, region: 'us-east-2', labels: { map: 'dust2' } }),
  sampleEvent({ id: 'gs-3', status: 'ready', sequence: 1, node: 'node-3', type: 'arena' }),
  sampleNodeEvent('node-3', 'interrupted', 1),
];

const questions: readonly (readonly [query: string, ids: string[]])[] = [
  ['', ['gs-1', 'gs-2', 'gs-3']],
  ['?state=ready', ['gs-1']],
  ['?state=ready,terminating', ['gs-1', 'gs-3']],
  ['?state=ready&state=allocated', ['gs-1', 'gs-2']],
  ['?region=us-east-2', ['gs-2']],
  ['?region=us-east-2,eu-west-1&node=node-1', ['gs-1', 'gs-2']],
  ['?type=arena', ['gs-3']],
  ['?label=map=dust2&label=mode=ranked', ['gs-1']],
  ['?label=toString=x', []],
  ['?state=lost', []],
  ['?after=gs-1', ['gs-2', 'gs-3']],
];
for (const [query, ids] of questions)
  test(`/game-servers${query} answers ${ids.join(', ') || 'nobody'}`, async () => {
    await using served = await serve(fleet);
    const { game_servers: rows } = await served.getJson(`/game-servers${query}`);
    assert.deepEqual(
      rows.map((row) => row.game_server_id),
      ids,
    );
  });

test('pages of one row each, taken together, are the whole table', async () => {
  await using served = await serve(fleet);
  const ids: string[] = [];
  for (let after = ''; ids.length < 10; ) {
    const page = await served.getJson(`/game-servers?limit=1&fields=status&after=${after}`);
    ids.push(...page.game_servers.map((row) => `${Object.keys(row).sort()} ${row.game_server_id} ${row.status}`));
    if (page.next === null) break;
    after = page.next;
  }
  assert.deepEqual(ids, [
    'game_server_id,status gs-1 ready',
    'game_server_id,status gs-2 allocated',
    'game_server_id,status gs-3 terminating',
  ]);
});

const refusals: readonly (readonly [path: string, status: number, detail: RegExp])[] = [
  ['/game-servers?state=sleeping', 400, /Invalid state "sleeping": expected starting, ready/],
  ['/game-servers?limit=0', 400, /Invalid limit "0": expected a whole number from 1 to/],
  ['/game-servers?limit=x', 400, /Invalid limit "x"/],
  ['/game-servers?label=dust2', 400, /Invalid label "dust2": expected NAME=VALUE/],
  ['/game-servers?colour=red', 400, /Unknown parameter "colour"/],
  ['/game-servers/gs-9', 404, /No game server gs-9/],
  ['/game-servers/%E0%A4%A', 404, /No game server/],
  ['/page/..%2f..%2fmain.ts', 404, /No such part of the page/],
  ['/nowhere', 404, /No such path/],
  ['/constructor', 404, /No such path/],
];
for (const [path, status, detail] of refusals)
  test(`${path} is answered with ${status} and a reason`, async () => {
    await using served = await serve(fleet);
    const answer = await served.get(path);
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [status, 'application/problem+json']);
    const body = (await answer.json()) as { status: number; detail: string };
    assert.equal(body.status, status);
    assert.match(body.detail, detail);
  });

test('nothing can be written', async () => {
  await using served = await serve(fleet);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    const answer = await fetch(new URL('/game-servers/gs-1', served.server.url), { method });
    assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'GET, HEAD']);
  }
});

test('a name that only resolves to this machine is refused, so that no other site can read it', async () => {
  await using served = await serve(fleet);
  const { port } = new URL(served.server.url);
  const statusFor = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/game-servers', headers: { host } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example'])
    assert.equal(await statusFor(host), 421, host);
  for (const host of ['localhost', `127.0.0.1:${port}`, '[::1]:80']) assert.equal(await statusFor(host), 200, host);
});

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);

test('every path that is served is described, every path that is described is served, and answers have their schema', async () => {
  await using served = await serve(fleet);
  // What a client gets, not what the module says.
  const api = (await (await served.get('/openapi.json')).json()) as ReturnType<typeof openApiDocument>;
  assert.deepEqual(api, JSON.parse(JSON.stringify(openApiDocument())));
  const paths = api['paths'] as Record<
    string,
    { get: { responses: Record<string, { content: Record<string, { schema: object }> }> } }
  >;
  assert.deepEqual(Object.keys(paths).sort(), Object.keys(routes).sort());
  for (const [path, { get }] of Object.entries(paths)) {
    if (path === '/events') continue;
    const answer = await served.get(path.replace('{id}', 'gs-3').replace('{name}', 'page.js'));
    assert.equal(answer.status, 200, path);
    const [type = '', { schema } = { schema: {} }] = Object.entries(get.responses['200']?.content ?? {})[0] ?? [];
    assert.ok(answer.headers.get('content-type')?.startsWith(type), `${path}: ${answer.headers.get('content-type')}`);
    if (type !== 'application/json') continue;
    const isValid = ajv.compile({ ...schema, components: api['components'] });
    assert.ok(isValid(await answer.json()), `${path}: ${ajv.errorsText(isValid.errors)}`);
  }
});

test('metrics say how many game servers are in each state', async () => {
  await using served = await serve(fleet);
  const text = await (await served.get('/metrics')).text();
  assert.match(text, /^spotable_inventory_game_servers\{status="ready"\} 1$/m);
  assert.match(text, /^spotable_inventory_game_servers\{status="terminating"\} 1$/m);
  assert.match(text, /^spotable_inventory_game_servers\{status="lost"\} 0$/m);
  assert.match(text, /^spotable_inventory_nodes\{status="interrupted"\} 1$/m);
  assert.match(text, /^spotable_inventory_messages_total\{outcome="folded"\} 3$/m);
});

/** Reads server-sent events until there are enough. */
async function readEvents(answer: Response, enough: (text: string) => boolean): Promise<string> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) throw new Error('Cannot read events: no body');
  let text = '';
  while (!enough(text)) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text;
}

test('a client that comes back gets what it missed, and is told when that is not known any more', async () => {
  await using served = await serve(fleet);
  const { position } = await served.getJson('/game-servers');
  served.put(sampleEvent({ id: 'gs-1', status: 'allocated', sequence: 2 }));
  const missed = await readEvents(await served.get(`/events?after=${position}`), (text) => text.includes('gs-1'));
  assert.match(missed, /^id: \S+\nevent: game-server\ndata: \{"row":\{.*"status":"allocated".*\},"before":"ready"\}$/m);
  const live = readEvents(await served.get('/events'), (text) => text.includes('gs-new'));
  served.put(sampleEvent({ id: 'gs-new', status: 'ready', sequence: 1 }));
  const events = await live;
  assert.ok(!events.includes('"allocated"'), 'without a position only what is new');
  for (const unknown of ['other-run-3', 'nonsense', `${position.split('-')[0]}-99999`])
    assert.match(
      await readEvents(await served.get(`/events?after=${unknown}`), (text) => text.includes('event:')),
      /^event: reset\ndata: \{\}$/m,
    );
});

test('a client that follows and reads the table at any moment never misses a change', async () => {
  await using served = await serve();
  let sequence = 0;
  const write = setInterval(
    () => served.put(sampleEvent({ id: 'gs-1', status: 'ready', sequence: ++sequence, players: sequence })),
    1,
  );
  try {
    await until('it is there', () => served.view.size > 0);
    for (let round = 0; round < 20; round++) {
      const { game_servers: rows, position } = await served.getJson('/game-servers');
      const seen: number[] = [rows[0]?.players ?? 0];
      const text = await readEvents(
        await served.get(`/events?after=${position}`),
        (so) => so.split('event:').length > 5,
      );
      for (const [, players] of text.matchAll(/"players":(\d+)/g)) seen.push(Number(players));
      assert.deepEqual(
        seen,
        seen.map((_, index) => (seen[0] ?? 0) + index),
      );
    }
  } finally {
    clearInterval(write);
  }
});
