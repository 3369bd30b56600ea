/** The formatter wraps code at this column but leaves comments alone. */
export const maxColumns = 120;

/** A block of whole-line comments: its first and last line, indentation, and the text of each line. */
interface Block {
  readonly first: number;
  readonly last: number;
  readonly indent: string;
  readonly kind: '//' | '#' | '/*' | '/**';
  readonly lines: readonly string[];
}

const listItem = /^(\s{2,}|[-*|] |\d+\. )/;

/**
 * Wraps each whole-line comment that goes past column 120, paragraph by paragraph. Lists and indented lines stay as
 * they are.
 */
export function wrapComments(text: string, marker: '//' | '#'): string {
  const lines = text.split('\n');
  for (const block of commentBlocks(lines, marker).toReversed()) {
    const isWide = lines.slice(block.first, block.last + 1).some((line) => [...line].length > maxColumns);
    if (isWide) lines.splice(block.first, block.last - block.first + 1, ...render(block));
  }
  return lines.join('\n');
}

function commentBlocks(lines: readonly string[], marker: '//' | '#'): readonly Block[] {
  const blocks: Block[] = [];
  for (let first = 0; first < lines.length; first++) {
    const line = lines[first] ?? '';
    const indent = /^\s*/.exec(line)?.[0] ?? '';
    const start = line.trimStart();
    let last = first;
    if (start.startsWith(marker) && !start.startsWith('#!')) {
      while (lines[last + 1]?.startsWith(`${indent}${marker}`)) last++;
      const texts = lines
        .slice(first, last + 1)
        .map((one) => one.slice(indent.length + marker.length).replace(/^ /, ''));
      blocks.push({ first, last, indent, kind: marker, lines: texts });
    } else if (marker === '//' && start.startsWith('/*')) {
      while (last < lines.length - 1 && !lines[last]?.includes('*/')) last++;
      const texts = lines
        .slice(first, last + 1)
        .map((one) => one.replace(/^\s*(\/\*\*?|\*(?!\/))? ?/, '').replace(/\s*\*\/\s*$/, ''));
      if (lines[last]?.trimEnd().endsWith('*/'))
        blocks.push({ first, last, indent, kind: start.startsWith('/**') ? '/**' : '/*', lines: texts });
    }
    first = last;
  }
  return blocks;
}

function render({ indent, kind, lines }: Block): readonly string[] {
  const isBlock = kind === '/*' || kind === '/**';
  const prefix = `${indent}${isBlock ? ' *' : kind}`;
  const wrapped = wrap(lines, maxColumns - prefix.length - 1);
  if (!isBlock) return wrapped.map((line) => `${prefix} ${line}`.trimEnd());
  const single = `${indent}${kind} ${wrapped[0]} */`;
  if (wrapped.length === 1 && single.length <= maxColumns) return [single];
  return [`${indent}${kind}`, ...wrapped.map((line) => `${prefix} ${line}`.trimEnd()), `${indent} */`];
}

function wrap(lines: readonly string[], columns: number): readonly string[] {
  const wrapped: string[] = [];
  let current = '';
  const flush = () => {
    if (current !== '') wrapped.push(current);
    current = '';
  };
  for (const line of trimmed(lines))
    if (line === '' || listItem.test(line)) {
      flush();
      wrapped.push(line);
    } else
      for (const word of line.split(/\s+/)) {
        if (current !== '' && [...`${current} ${word}`].length > columns) flush();
        current = current === '' ? word : `${current} ${word}`;
      }
  flush();
  return wrapped;
}

/** Without empty lines at the start and end, which the markers of a block comment leave. */
function trimmed(lines: readonly string[]): readonly string[] {
  const first = lines.findIndex((line) => line !== '');
  const last = lines.findLastIndex((line) => line !== '');
  return first < 0 ? [] : lines.slice(first, last + 1);
}
