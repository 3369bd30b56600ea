import assert from 'node:assert/strict';
import { constants, openSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stderrWriter } from '../../../shared/stderr-writer.ts';
import { UnreadPipe } from '../../fixtures/unread-pipe.ts';

/** As the writer opens its own: what blocks a process here would be the test's own write. */
function withoutBlocking(fd: number): number {
  return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
}

/** Reads until the text ends as expected: the writer tries again in its own time. */
async function readUntil(pipe: UnreadPipe, isComplete: (text: string) => boolean): Promise<string> {
  for (let text = pipe.read(), tries = 0; ; text += pipe.read(), tries++) {
    if (isComplete(text)) return text;
    assert.ok(tries < 3000, `not complete: ${text.slice(-200)}`);
    await sleep(10);
  }
}

describe('log lines that nobody reads', () => {
  test('wait, whole and in order, until the reader is back', async () => {
    using pipe = new UnreadPipe();
    const write = stderrWriter('test', withoutBlocking(pipe.fd));
    const lines = Array.from({ length: 500 }, (_, index) => `{"line":${index},"text":"${'x'.repeat(200)}"}\n`);
    for (const line of lines) write(line);
    const text = await readUntil(pipe, (read) => read.endsWith(lines.at(-1) ?? ''));
    assert.equal(text.replace(/^-+/, ''), lines.join(''));
  });

  test('are dropped past a bound, and their number is logged when the reader is back', async () => {
    using pipe = new UnreadPipe();
    const write = stderrWriter('test', withoutBlocking(pipe.fd));
    for (let index = 0; index < 10_000; index++) write(`{"line":${index},"text":"${'x'.repeat(200)}"}\n`);
    const text = await readUntil(pipe, (read) => read.includes('Log lines dropped'));
    const lines = text
      .replace(/^-+/, '')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const { level, name, lines: dropped } = lines.at(-1) ?? {};
    assert.deepEqual([level, name], [40, 'test']);
    assert.equal(Number(dropped) + lines.length - 1, 10_000);
    write('{"after":1}\n');
    assert.equal(pipe.read(), '{"after":1}\n');
  });

  test('are given up where the disk is full, and nothing throws', () => {
    const write = stderrWriter('test', openSync('/dev/full', constants.O_WRONLY));
    assert.doesNotThrow(() => write('a line\n'));
  });
});
