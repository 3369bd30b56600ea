import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { LineDecoder, LineTooLongError } from '../../../shared/link/line-decoder.ts';

function decode(chunks: readonly (string | Buffer)[], limitBytes?: number): string[] {
  const decoder = new LineDecoder(limitBytes);
  return chunks.flatMap((chunk) => decoder.push(Buffer.from(chunk as Buffer)));
}

const streams: readonly (readonly [name: string, chunks: readonly string[], lines: readonly string[]])[] = [
  ['nothing', [''], []],
  ['an unfinished line', ['abc'], []],
  ['one line', ['abc\n'], ['abc']],
  ['a line in pieces', ['a', 'b', 'c\n'], ['abc']],
  ['an end of its own', ['abc', '\n'], ['abc']],
  ['several lines in a chunk', ['a\nb\nc'], ['a', 'b']],
  ['a line over three chunks between others', ['x\na', 'b', 'c\ny\n'], ['x', 'abc', 'y']],
  ['ends of Windows', ['a\r\nb\r', '\nc\r\n'], ['a', 'b', 'c']],
  ['empty lines', ['\n\n \n\r\na\n\n'], ['a']],
  ['white space around', ['  a b\t\n'], ['a b']],
];

for (const [name, chunks, lines] of streams)
  test(`a stream with ${name} gives ${JSON.stringify(lines)}`, () => {
    assert.deepEqual(decode(chunks), lines);
  });

test('a line is the same however its bytes are cut, also inside a character', () => {
  const line = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => text.trim() === text && !/[\r\n]/.test(text));
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 5 }),
      fc.array(fc.nat({ max: 200 }), { maxLength: 20 }),
      (lines, cuts) => {
        const bytes = Buffer.from(`${lines.join('\n')}\n`);
        const edges = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
        assert.deepEqual(decode(chunks), lines);
      },
    ),
  );
});

test('a four-byte character that comes byte by byte is one character', () => {
  assert.deepEqual(decode([...Buffer.from('🎮\n')].map((byte) => Buffer.from([byte]))), ['🎮']);
});

test('bytes that are no text harm nobody', () => {
  assert.deepEqual(decode([Buffer.from([0xff, 0xfe, 0x0a]), 'a\n']), ['\ufffd\ufffd', 'a']);
});

test('a line of exactly the limit is taken, in one piece or in many', () => {
  assert.deepEqual(decode(['12345678\n'], 8), ['12345678']);
  assert.deepEqual(decode([...'12345678\n12345678\n'], 8), ['12345678', '12345678']);
});

for (const [name, chunks] of [
  ['in one chunk', ['123456789\n']],
  ['in pieces', ['12345', '6789']],
  ['without an end', ['123456789']],
  ['of characters that are short and bytes that are not', ['äääää\n']],
] as const)
  test(`a line that is too long ${name} is refused`, () => {
    assert.throws(() => decode(chunks, 8), LineTooLongError);
  });

test('a chunk of many lines may be longer than a line', () => {
  assert.equal(decode(['1234567\n'.repeat(1000)], 8).length, 1000);
});

test('a line that comes byte by byte is held in one buffer, not in a list of its bytes', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const byte = Buffer.from('x');
  const decoders = Array.from({ length: 20 }, () => new LineDecoder(65_536));
  const before = held();
  for (const decoder of decoders) for (let sent = 0; sent < 65_536; sent++) decoder.push(byte);
  // 64 KiB each, and some slack: as a list of pieces each would take a hundred times that.
  assert.ok(held() - before < decoders.length * 65_536 * 3);
  assert.ok(decoders.every((decoder) => decoder.push(Buffer.from('\n')).length === 1));
});
