/** Names and what stands for them: leased ports, SPOTABLE_* facts. */
export type Placeholders = Readonly<Record<string, string>>;

/**
 * Puts the values in place of `{NAME}`. Braces around anything else stay as they are: config formats are full of them.
 */
export function fillIn(text: string, placeholders: Placeholders): string {
  return text.replace(/\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name: string) =>
    Object.hasOwn(placeholders, name) ? (placeholders[name] ?? whole) : whole,
  );
}

/** A byte order mark at the beginning, in UTF-16 or as the bytes of UTF-8. */
const byteOrderMark = /^(?:\ufeff|\xef\xbb\xbf)/;

/**
 * Sets a key of a `key=value` file, wherever it stands, and leaves all other lines, comments included, as they are;
 * adds it where it is missing.
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
    // A key that stands twice has its last value for most readers, and its first for some.
    const set = (old: string) => (isKey(old) ? line + (old.endsWith('\r') ? '\r' : '') : old);
    return mark + lines.map(set).join('\n');
  }
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
  const separator = text === '' || text.endsWith('\n') ? '' : lineEnd;
  return `${mark}${text}${separator}${line}${lineEnd}`;
}
