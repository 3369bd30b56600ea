import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { writeEvents } from '../../../../sandbox/kubelet/write-events.ts';

const name = { namespace: 'arena', pod: 'gs-7', uid: 'u', container: 'game' };

/** Takes nothing until `resume` is called. */
function stalledReader(): { out: Writable; text(): string; resume(): void } {
  const taken: string[] = [];
  const held: (() => void)[] = [];
  let isOpen = false;
  const out = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      taken.push(chunk);
      if (isOpen) done();
      else held.push(done);
    },
  });
  const resume = (): void => {
    isOpen = true;
    for (const done of held.splice(0)) done();
  };
  return { out, text: () => taken.join(''), resume };
}

test('an event is one line of JSON with the time in front', () => {
  const { out, text, resume } = stalledReader();
  resume();
  writeEvents(out, () => 0)({ event: 'log', ...name, stream: 'stdout', line: 'a\nb' });
  assert.equal(
    text(),
    '{"time":"1970-01-01T00:00:00.000Z","event":"log","namespace":"arena","pod":"gs-7","uid":"u","container":"game","stream":"stdout","line":"a\\nb"}\n',
  );
});

test('a reader that stalls costs containers their lines, counted, and never an exit', async () => {
  const { out, text, resume } = stalledReader();
  const tell = writeEvents(out, () => 0);
  const line = 'x'.repeat(16 * 1024);
  for (let sent = 0; sent < 400; sent += 1) tell({ event: 'log', ...name, stream: 'stdout', line });
  assert.ok(out.writableLength < 5 * 1024 * 1024, 'what waits is bounded');
  tell({ event: 'pod-gone', namespace: 'arena', pod: 'gs-7', uid: 'u' });
  resume();
  await new Promise((resolve) => out.end(resolve));
  const events = text()
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as { event: string; lines?: number });
  const logs = events.filter(({ event }) => event === 'log').length;
  const [dropped] = events.filter(({ event }) => event === 'lines-dropped');
  assert.equal(logs + (dropped?.lines ?? 0), 400);
  assert.ok(logs > 100);
  assert.equal(events.at(-1)?.event, 'pod-gone');
});

test('a reader that has left is no error', () => {
  const out = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const tell = writeEvents(out, () => 0);
  for (let sent = 0; sent < 3; sent += 1) tell({ event: 'pod-gone', namespace: 'a', pod: 'b', uid: 'c' });
});
