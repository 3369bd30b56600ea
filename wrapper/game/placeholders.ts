/** Placeholder names and their values: leased ports, SPOTABLE_* facts. */
export type Placeholders = Readonly<Record<string, string>>;

/** Replaces `{NAME}` by its value. Other braces stay as they are: config formats are full of them. */
export function fillIn(text: string, placeholders: Placeholders): string {
  return text.replace(/\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name: string) =>
    Object.hasOwn(placeholders, name) ? (placeholders[name] ?? whole) : whole,
  );
}

/** A byte order mark at the beginning, in UTF-16 or as the bytes of UTF-8. */
const byteOrderMark = /^(?:\ufeff|\xef\xbb\xbf)/;

/**
 * Sets a key of a `key=value` file, or adds it if it is missing. All other lines, comments included, stay as they are.
 */
export function setProperty(content: string, key: string, value: string): string {
  const line = `${key}=${value}`;
  const mark = byteOrderMark.exec(content)?.[0] ?? '';
  const text = content.slice(mark.length);
  const lines = text.split('\n');
  const isKey = (candidate: string) => {
    const end = candidate.search(/[=:]/);
    return end >= 0 && candidate.slice(0, end).trim() === key;
  };
  if (lines.some(isKey)) {
    // Set every occurrence of the key: most readers use the last one, some the first.
    const set = (old: string) => (isKey(old) ? line + (old.endsWith('\r') ? '\r' : '') : old);
    return mark + lines.map(set).join('\n');
  }
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
  const separator = text === '' || text.endsWith('\n') ? '' : lineEnd;
  return `${mark}${text}${separator}${line}${lineEnd}`;
}
