/** Names and what stands for them: leased ports, SPOTABLE_* facts. */
export type Placeholders = Readonly<Record<string, string>>;

/** Puts the values in place of `{NAME}`. Braces around anything else stay as they are: config formats are full of them. */
export function fillIn(text: string, placeholders: Placeholders): string {
  return text.replace(/\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name: string) =>
    Object.hasOwn(placeholders, name) ? (placeholders[name] ?? whole) : whole,
  );
}

/** Sets one line of a `key=value` file and leaves all others, comments included, as they are; adds it where it is missing. */
export function setProperty(content: string, key: string, value: string): string {
  const line = `${key}=${value}`;
  const lines = content.split('\n');
  const isKey = (candidate: string) => candidate.slice(0, candidate.search(/[=:]/)).trim() === key;
  const index = lines.findIndex(isKey);
  if (index >= 0) {
    const ending = lines[index]?.endsWith('\r') === true ? '\r' : '';
    return lines.with(index, line + ending).join('\n');
  }
  const separator = content === '' || content.endsWith('\n') ? '' : '\n';
  return `${content}${separator}${line}\n`;
}
