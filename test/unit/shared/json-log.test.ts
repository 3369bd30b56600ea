import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonLog, silentLog } from '../../../shared/log.ts';

function record(level?: 'debug' | 'warn', fields?: object): { lines: string[]; log: ReturnType<typeof jsonLog> } {
  const lines: string[] = [];
  const options = { write: (line: string) => lines.push(line), now: () => 7, name: 'wrapper' };
  return { lines, log: jsonLog({ ...options, ...(level && { level }), ...(fields && { fields }) }) };
}

test('a line is one JSON object in the shape of pino', () => {
  const { lines, log } = record();
  log.info({ port: 20_001 }, 'Port leased');
  assert.deepEqual(lines, ['{"level":30,"time":7,"name":"wrapper","port":20001,"msg":"Port leased"}\n']);
});

test('the levels are those of pino, and a line below the least one is left out', () => {
  const { lines, log } = record('warn');
  log.debug({}, 'a');
  log.info({}, 'b');
  log.warn({}, 'c');
  log.error({}, 'd');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).level),
    [40, 50],
  );
  const verbose = record('debug');
  verbose.log.debug({}, 'a');
  assert.equal(JSON.parse(verbose.lines[0] ?? '').level, 20);
});

test('a text of several lines stays one line of the log', () => {
  const { lines, log } = record();
  log.info({ text: 'a\nb\u2028c' }, 'x');
  assert.equal(lines.join('').split('\n').length, 2);
});

test('an error under err is told as text', () => {
  const { lines, log } = record();
  log.warn({ err: new Error('Cannot x', { cause: new Error('y') }) }, 'Failed');
  assert.equal(JSON.parse(lines[0] ?? '').err, 'Cannot x: y');
});

test('fields for every line stand in every line, and a line of its own mind wins over them', () => {
  const { lines, log } = record(undefined, { gameServerId: 'gs-1', port: 1 });
  log.info({ port: 2 }, 'a');
  log.info({}, 'b');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)).map(({ gameServerId, port }) => [gameServerId, port]),
    [
      ['gs-1', 2],
      ['gs-1', 1],
    ],
  );
});

test('the silent log takes everything', () => {
  for (const level of ['debug', 'info', 'warn', 'error'] as const) assert.equal(silentLog[level]({}, 'x'), undefined);
});
