import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';

/** The formatter wraps code at this column but leaves comments alone. */
const maxColumns = 120;
const slashFiles = /\.(ts|js|cjs|mjs|c|h|css|go)$/;
const hashFiles = /\.(sh|py|pl|ya?ml|toml)$|^Dockerfile/;
/** Not ours: dependencies, output, and recorded API traffic. */
const skipped = /^(node_modules|dist|\.git|test\/fixtures\/kubernetes)$/;

/**
 * Line numbers, from 1, of comments that go past column 120. A line without a space to wrap at, such as a URL, is fine.
 */
export function wideCommentLines(fileName: string, text: string): readonly number[] {
  const marker = hashFiles.test(fileName) ? /(?:^|\s)#\s/ : /^\s*(?:\/\*|\*)|(?:^|\s)\/\//;
  return text.split('\n').flatMap((line, index) => {
    if ([...line].length <= maxColumns) return [];
    const start = withoutStrings(line).search(marker);
    const words = start < 0 ? [] : line.slice(start).trim().split(/\s+/);
    return words.length > 2 ? [index + 1] : [];
  });
}

/** Masks string literals, because the `//` of a URL does not start a comment. */
function withoutStrings(line: string): string {
  return line.replace(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`/g, (text) => '_'.repeat(text.length));
}

function* sourceFiles(folder: string, root: string): Iterable<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (skipped.test(relative(root, path))) continue;
    if (entry.isDirectory()) yield* sourceFiles(path, root);
    else if (slashFiles.test(entry.name) || hashFiles.test(entry.name)) yield path;
  }
}

/**
 * Usage: node build/check-comments.ts [FOLDER]. Prints each comment line that is too wide; exits with 1 if there is
 * one.
 */
function main(root: string): number {
  const wide = [...sourceFiles(root, root)].flatMap((path) =>
    wideCommentLines(basename(path), readFileSync(path, 'utf8')).map((line) => `${relative(root, path)}:${line}`),
  );
  for (const place of wide) console.error(`${place}: Comment is wider than ${maxColumns} columns`);
  return wide.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = main(process.argv[2] ?? join(import.meta.dirname, '..'));
