import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { maxColumns, wrapComments } from './wrap-comments.ts';

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
 * Usage: node build/check-comments.ts [--fix] [FOLDER]. Prints each comment line that is too wide and exits with 1 if
 * there is one. With --fix it wraps whole-line comments first.
 */
function main(isFixing: boolean, root: string): number {
  const files = [...sourceFiles(root, root)];
  if (isFixing) for (const path of files) fix(path);
  const wide = files.flatMap((path) =>
    wideCommentLines(basename(path), readFileSync(path, 'utf8')).map((line) => `${relative(root, path)}:${line}`),
  );
  for (const place of wide) console.error(`${place}: Comment is wider than ${maxColumns} columns`);
  return wide.length === 0 ? 0 : 1;
}

function fix(path: string): void {
  const text = readFileSync(path, 'utf8');
  if (wideCommentLines(basename(path), text).length === 0) return;
  writeFileSync(path, wrapComments(text, hashFiles.test(basename(path)) ? '#' : '//'));
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2).filter((argument) => argument !== '--fix');
  process.exitCode = main(process.argv.includes('--fix'), folder ?? join(import.meta.dirname, '..'));
}
