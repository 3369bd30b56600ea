import type { Settings } from './read-settings.ts';

export interface HelpText {
  readonly usage: string;
  readonly summary: string;
  /** Lines after the flags: exit statuses, examples. */
  readonly footer?: string;
}

const columnWidth = 34;

/** The `--help` text, generated from the settings that are parsed, so that it is never outdated. */
export function formatHelp(settings: Settings, { usage, summary, footer }: HelpText): string {
  const lines = [`Usage: ${usage}`, '', summary, '', 'Flags (environment variable in brackets):'];
  for (const { flag, placeholder, env, help, fallbackText, isRepeatable } of Object.values(settings)) {
    const name = placeholder === undefined ? `  --[no-]${flag}` : `  --${flag} ${placeholder}`;
    const left = isRepeatable ? `${name} ...` : name;
    const fallback = fallbackText === undefined ? '' : ` (default ${fallbackText})`;
    const right = `${help}${fallback}${env === undefined ? '' : ` [${env}]`}`;
    if (left.length < columnWidth) lines.push(left.padEnd(columnWidth) + right);
    else lines.push(left, ' '.repeat(columnWidth) + right);
  }
  lines.push(`${'  --help'.padEnd(columnWidth)}show this text`, `${'  --version'.padEnd(columnWidth)}show the version`);
  if (footer !== undefined) lines.push('', footer);
  return `${lines.join('\n')}\n`;
}
