import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultStatePath, listenAddress } from '../../../inventory/config.ts';
import { InventoryView } from '../../../inventory/fold/inventory-view.ts';
import { renderTable, type TableView } from '../../../inventory/table/render-table.ts';
import { safeText } from '../../../inventory/table/safe-text.ts';
import { Timeline } from '../../../inventory/timeline.ts';
import { inventoryEvents } from '../shared/inventory-arbitraries.ts';

const anyView = fc.array(inventoryEvents, { maxLength: 12 }).map((events): TableView => {
  const view = new InventoryView();
  const timeline = new Timeline();
  for (const event of events) {
    const outcome = view.apply(event, 0);
    if (outcome.kind === 'folded') timeline.add(outcome.changes, 0);
  }
  return { rows: view.rows(), nodes: view.nodes(), timeline: timeline.entries(), notice: 'Reading' };
});

test('whatever senders write, the table stays within the screen and carries no control characters', () => {
  fc.assert(
    fc.property(
      anyView,
      fc.integer({ min: 60, max: 250 }),
      fc.integer({ min: 10, max: 60 }),
      (view, columns, lines) => {
        const rendered = renderTable(view, { columns, lines, offset: 0, hasColor: false, nowMs: 0 });
        assert.ok(rendered.length <= lines, `${rendered.length} lines`);
        for (const line of rendered) {
          assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
          assert.ok([...line].length <= columns, line);
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('a terminal sequence of a sender is shown as text, not obeyed', () => {
  assert.equal(safeText('gs\x1b[2J\x07\u202e-1\n'), 'gs?[2J??-1?');
});

test('a listen address is a port, or a host and a port', () => {
  assert.deepEqual(listenAddress('8080'), { value: { host: '127.0.0.1', port: 8080 } });
  assert.deepEqual(listenAddress('0.0.0.0:80'), { value: { host: '0.0.0.0', port: 80 } });
  assert.deepEqual(listenAddress('[::1]:80'), { value: { host: '::1', port: 80 } });
  for (const wrong of ['', ':80', '65536', 'host', 'a b:80', '-1'])
    assert.ok('expected' in listenAddress(wrong), wrong);
});

test('each queue has a state file of its own, where XDG wants it', () => {
  const one = defaultStatePath('https://sqs.eu-west-1.amazonaws.com/1/inventory', { HOME: '/home/x' });
  const other = defaultStatePath('https://sqs.us-east-2.amazonaws.com/1/inventory', { HOME: '/home/x' });
  assert.match(one, /^\/home\/x\/\.local\/state\/spotable\/inventory-inventory-[0-9a-f]{8}\.sqlite$/);
  assert.notEqual(one, other);
  assert.match(
    defaultStatePath('http://q/1/../../x y', { XDG_STATE_HOME: '/s' }),
    /^\/s\/spotable\/inventory-[\w.-]+\.sqlite$/,
  );
});
