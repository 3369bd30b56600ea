/**
 * What senders write goes to a terminal: without control characters, which could move the cursor or worse, and without those
 * that turn the direction of a line.
 */
export function safeText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

/** Fits a text into a column of `width` characters, with an ellipsis where it is cut. */
export function fitText(text: string, width: number): string {
  const characters = [...text];
  if (characters.length <= width) return text + ' '.repeat(width - characters.length);
  return width < 1 ? '' : `${characters.slice(0, width - 1).join('')}…`;
}
