/**
 * Text of senders goes to a terminal: this removes control characters, which could move the cursor, and characters that
 * change the direction of a line.
 */
export function safeText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

/** Fits a text into `width` characters, with an ellipsis if it is cut. */
export function fitText(text: string, width: number): string {
  const characters = [...text];
  if (characters.length <= width) return text + ' '.repeat(width - characters.length);
  return width < 1 ? '' : `${characters.slice(0, width - 1).join('')}…`;
}
