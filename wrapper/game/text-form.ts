/**
 * How a file stores text: as UTF-16 (written by Windows programs and by servers under Wine), or as `bytes`: UTF-8 or
 * any other encoding that contains ASCII unchanged.
 */
export type TextForm = 'bytes' | 'utf-16le' | 'utf-16be';

/** Detect the form of a file without a byte order mark from this many bytes. */
const sampleBytes = 4096;

/** undefined: UTF-32, which no game reads. */
export function textFormOf(content: Buffer): TextForm | undefined {
  const [first, second, third, fourth] = content;
  const isLittleEndian = first === 0xff && second === 0xfe;
  if ((isLittleEndian && third === 0 && fourth === 0) || (content.length >= 4 && content.readUInt32BE(0) === 0xfeff))
    return undefined;
  if (content.length % 2 === 1) return 'bytes';
  if (isLittleEndian) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  return withoutMark(content.subarray(0, sampleBytes));
}

/** Text of a config file is mostly ASCII: in UTF-16 nearly every other byte is then 0, always on the same side. */
function withoutMark(sample: Buffer): TextForm {
  const zeros = [0, 0];
  for (const [index, byte] of sample.entries()) if (byte === 0) zeros[index % 2] = (zeros[index % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  if (even === 0 && odd > sample.length / 4) return 'utf-16le';
  return odd === 0 && even > sample.length / 4 ? 'utf-16be' : 'bytes';
}

/** One character per byte for `bytes`: in any encoding, untouched characters stay as they are. */
export function decodeText(content: Buffer, form: TextForm): string {
  switch (form) {
    case 'bytes':
      return content.toString('latin1');
    case 'utf-16le':
      return content.toString('utf16le');
    case 'utf-16be':
      return Buffer.from(content).swap16().toString('utf16le');
  }
}

/** The reverse of {@link decodeText}. */
export function encodeText(text: string, form: TextForm): Buffer {
  switch (form) {
    case 'bytes':
      return Buffer.from(text, 'latin1');
    case 'utf-16le':
      return Buffer.from(text, 'utf16le');
    case 'utf-16be':
      return Buffer.from(text, 'utf16le').swap16();
  }
}

/** Converts text of our own to the form of {@link decodeText}: in `bytes` it is UTF-8. */
export function ownText(text: string, form: TextForm): string {
  return form === 'bytes' ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** The content without its byte order mark, for reading only. undefined as in {@link textFormOf}. */
export function readableText(content: Buffer): string | undefined {
  const form = textFormOf(content);
  if (form === undefined) return undefined;
  const text = form === 'bytes' ? content.toString('utf8') : decodeText(content, form);
  return text.replace(/^\ufeff/, '');
}
