import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NodeRow } from '../../../inventory/fold/rows.ts';
import { countdown, shareLeft } from '../../../inventory/serve/page/countdown.ts';
import { Fleet, isWanted, parseFilter, type ShownRow } from '../../../inventory/serve/page/fleet.ts';
import {
  boxAfterKey,
  boxAt,
  boxesInView,
  boxPlace,
  cellPlace,
  cellSize,
  layOutFleet,
} from '../../../inventory/serve/page/layout.ts';
import type { GameServerState } from '../../../shared/events/event.ts';

function row(
  id: string,
  node: string | null,
  status: GameServerState = 'ready',
  instance: string | null = null,
): ShownRow {
  return {
    game_server_id: id,
    status,
    type: 'arena',
    node,
    instance_id: instance,
    instance_type: 'c7g.large',
    zone: 'eu-west-1a',
    public_hostname: 'host.example',
    public_ip: null,
    public_port: 1,
    players: 0,
    deadline: null,
    reason: null,
  };
}

const layouts = fc
  .record({
    width: fc.integer({ min: 100, max: 4000 }),
    boxes: fc.integer({ min: 0, max: 1200 }),
    most: fc.integer({ min: 0, max: 300 }),
  })
  .map(({ width, boxes, most }) => ({ width, boxes, most, layout: layOutFleet(width, boxes, most) }));

test('every box stands within the fleet, and a click into it finds it', () => {
  fc.assert(
    fc.property(layouts, fc.nat(), ({ boxes, layout }, pick) => {
      if (boxes === 0) return;
      const index = pick % boxes;
      const { x, y } = boxPlace(layout, index);
      assert.ok(y + layout.boxHeight <= layout.height);
      assert.equal(boxAt(layout, { x: x + layout.boxWidth / 2, y: y + layout.boxHeight / 2 }), index);
      assert.equal(boxAt(layout, { x: x - 3, y }), undefined);
    }),
  );
});

test('what is in view is drawn, and only a row more', () => {
  fc.assert(
    fc.property(
      layouts,
      fc.nat({ max: 50_000 }),
      fc.integer({ min: 1, max: 2000 }),
      ({ boxes, layout }, top, height) => {
        const [first, end] = boxesInView(layout, top, height);
        for (let index = 0; index < boxes; index++) {
          const { y } = boxPlace(layout, index);
          const isVisible = y < top + height && y + layout.boxHeight > top;
          if (isVisible) assert.ok(index >= first && index < end, `${index} is in view`);
        }
        assert.ok(end - first <= layout.columns * (Math.ceil(height / layout.boxHeight) + 2));
      },
    ),
    { numRuns: 50 },
  );
});

test('game servers that fit stand within their box', () => {
  fc.assert(
    fc.property(layouts, ({ width, layout }) => {
      if (width < 250) return;
      const { x, y } = cellPlace(layout, layout.cells - 1);
      assert.ok(x + cellSize <= layout.boxWidth && y + cellSize <= layout.boxHeight);
    }),
  );
});

test('arrow keys move by one and by a row, and stop at the edges', () => {
  const layout = layOutFleet(1000, 10, 20);
  const { columns } = layout;
  assert.ok(columns > 1);
  assert.equal(boxAfterKey(layout, 'ArrowRight', 0, 10), 1);
  assert.equal(boxAfterKey(layout, 'ArrowLeft', 0, 10), 0);
  assert.equal(boxAfterKey(layout, 'ArrowDown', 0, 10), columns);
  assert.equal(boxAfterKey(layout, 'ArrowUp', columns, 10), 0);
  assert.equal(boxAfterKey(layout, 'End', 0, 10), 9);
  assert.equal(boxAfterKey(layout, 'x', 0, 10), undefined);
  assert.equal(boxAfterKey(layout, 'toString', 0, 10), undefined);
});

test('a fleet that follows changes is the same as one that reads the table', () => {
  const change = fc.record({
    id: fc.integer({ min: 0, max: 20 }).map((id) => `gs-${id}`),
    // An instance has one name.
    place: fc.constantFrom<[string | null, string | null]>(['n1', 'i-1'], ['n2', 'i-2'], ['n2', null], [null, null]),
    status: fc.constantFrom<GameServerState>('ready', 'terminating'),
    isForgotten: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const followed = new Fleet();
      const table = new Map<string, ShownRow>();
      for (const {
        id,
        place: [node, instance],
        status,
        isForgotten,
      } of changes) {
        if (isForgotten) followed.forgetGameServer(id);
        else followed.putGameServer(row(id, node, status, instance));
        if (isForgotten) table.delete(id);
        else table.set(id, row(id, node, status, instance));
      }
      const read = new Fleet();
      read.replace(table.values(), []);
      const view = (fleet: Fleet): unknown[] => fleet.boxes().map(({ key, gameServers }) => [key, gameServers]);
      assert.deepEqual(view(followed), view(read));
      assert.deepEqual(followed.counts(), read.counts());
      assert.equal(followed.size, table.size);
    }),
  );
});

test('a box finds its node by instance, and by name where the agent does not know the instance', () => {
  const fleet = new Fleet();
  fleet.putGameServer(row('gs-1', 'n1', 'ready', 'i-1'));
  const [box] = fleet.boxes();
  assert.ok(box !== undefined);
  fleet.putNode({ key: 'node/n1', status: 'interrupted' } as NodeRow);
  assert.equal(fleet.nodeOf(box)?.status, 'interrupted');
  fleet.putNode({ key: 'i-1', status: 'recovered' } as NodeRow);
  assert.equal(fleet.nodeOf(box)?.status, 'recovered');
});

test('a search finds words anywhere in the names, all of them, in one state or in all', () => {
  const one = row('arena-7', 'ip-10-0-1-17', 'ready');
  assert.ok(isWanted(one, parseFilter('', undefined)));
  assert.ok(isWanted(one, parseFilter(' ARENA  10-0-1 ', undefined)));
  assert.ok(!isWanted(one, parseFilter('arena lobby', undefined)));
  assert.ok(!isWanted(one, parseFilter('arena', 'lost')));
});

test('a countdown ends at zero and does not go below', () => {
  const nowMs = Date.UTC(2026, 0);
  const at = (seconds: number): string => new Date(nowMs + seconds * 1000).toISOString();
  assert.deepEqual(
    [119.2, 61, 60, 0.1, 0, -9, 7200].map((seconds) => countdown(at(seconds), nowMs)),
    ['2:00', '1:01', '1:00', '0:01', '0:00', '0:00', '2 h'],
  );
  assert.deepEqual(
    [600, 60, -1].map((seconds) => shareLeft(at(seconds), nowMs)),
    [1, 0.5, 0],
  );
});
