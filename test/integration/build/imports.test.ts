import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, test } from 'node:test';

// Biome runs once over a tree of small files, each with one import that the project's own biome.json must allow or
// refuse.

const root = join(import.meta.dirname, '../../..');
const folders = [
  'agent',
  'wrapper',
  'fanout',
  'inventory',
  'fleet',
  'shared',
  'sandbox',
  'test',
  'bench',
  'build',
] as const;
type Folder = (typeof folders)[number];

/** The folders that each may import besides itself. */
const allowed: Readonly<Record<Folder, readonly Folder[]>> = {
  agent: ['shared'],
  wrapper: ['shared'],
  fanout: ['shared'],
  inventory: ['shared'],
  fleet: ['shared'],
  shared: [],
  sandbox: ['shared', 'inventory'],
  build: ['shared', 'inventory'],
  test: folders,
  bench: folders,
};

const forms = {
  value: (path: string) => `import { value } from '${path}';\n\nexport const copy: number = value;\n`,
  type: (path: string) => `import type { Type } from '${path}';\n\nexport type Copy = Type;\n`,
  export: (path: string) => `export { value } from '${path}';\n`,
  dynamic: (path: string) => `export const load = (): Promise<unknown> => import('${path}');\n`,
};

/** Depths of the importing file and of the imported one. */
const depths = [
  ['', ''],
  ['', 'a/'],
  ['a/', ''],
  ['a/', 'a/'],
  ['a/b/', ''],
  ['a/b/', 'a/b/'],
] as const;

interface Case {
  readonly file: string;
  readonly from: Folder;
  readonly to: Folder;
}

const cases: readonly Case[] = folders.flatMap((from) =>
  folders
    .filter((to) => to !== from)
    .flatMap((to) =>
      depths.flatMap((_, depth) =>
        Object.keys(forms).map((form) => ({
          from,
          to,
          file: `${from}/${depths[depth]?.[0]}to-${to}-${depth}-${form}.ts`,
        })),
      ),
    ),
);

const circles = {
  'shared/circle/value-a.ts': "import { b } from './value-b.ts';\n\nexport const a = (): number => b();\n",
  'shared/circle/value-b.ts': "import { a } from './value-a.ts';\n\nexport const b = (): number => a();\n",
  'shared/circle/type-a.ts': "import type { B } from './type-b.ts';\n\nexport interface A {\n  readonly b: B;\n}\n",
  'shared/circle/type-b.ts': "import type { A } from './type-a.ts';\n\nexport interface B {\n  readonly a: A;\n}\n",
  'shared/circle/long-a.ts': "import type { B } from './long-b.ts';\n\nexport type A = B | 1;\n",
  'shared/circle/long-b.ts': "import type { C } from './long-c.ts';\n\nexport type B = C | 2;\n",
  'shared/circle/long-c.ts': "import type { A } from './long-a.ts';\n\nexport type C = A | 3;\n",
};

const tree = mkdtempSync(join(tmpdir(), 'imports-'));
const reported = new Map<string, ReadonlySet<string>>();

function write(file: string, text: string): void {
  mkdirSync(dirname(join(tree, file)), { recursive: true });
  writeFileSync(join(tree, file), text);
}

before(() => {
  copyFileSync(join(root, 'biome.json'), join(tree, 'biome.json'));
  copyFileSync(join(root, 'package.json'), join(tree, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  for (const folder of folders)
    for (const depth of new Set(depths.map(([, to]) => to)))
      write(`${folder}/${depth}target.ts`, 'export const value = 1;\n\nexport type Type = 1;\n');
  for (const { file, to } of cases) {
    const [, depth, form] = /-(\d)-(\w+)\.ts$/.exec(file) ?? [];
    const path = relative(dirname(file), `${to}/${depths[Number(depth)]?.[1]}target.ts`);
    write(file, forms[form as keyof typeof forms](path));
  }
  for (const [file, text] of Object.entries(circles)) write(file, text);
  const biome = join(root, 'node_modules/.bin/biome');
  const flags = ['--only=style/noRestrictedImports', '--only=suspicious/noImportCycles', '--max-diagnostics=none'];
  const run = spawnSync(biome, ['lint', ...flags, '--reporter=json', '.'], {
    cwd: tree,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const { diagnostics } = JSON.parse(run.stdout) as {
    diagnostics: readonly { category: string; location: { path: unknown } }[];
  };
  for (const { category, location } of diagnostics) {
    const path = typeof location.path === 'string' ? location.path : (location.path as { file: string }).file;
    reported.set(path, new Set([...(reported.get(path) ?? []), category]));
  }
});

after(() => rmSync(tree, { recursive: true, force: true }));

for (const from of folders) {
  const refused = folders.filter((to) => to !== from && !allowed[from].includes(to));
  test(`${from} imports ${['itself', ...allowed[from].filter((to) => to !== from)].join(', ')} only`, () => {
    const own = cases.filter((one) => one.from === from);
    const isRefused = ({ file }: Case) => reported.get(file)?.has('lint/style/noRestrictedImports') ?? false;
    assert.deepEqual(
      own.filter(isRefused).map(({ file }) => file),
      own.filter(({ to }) => refused.includes(to)).map(({ file }) => file),
    );
  });
}

test('an import circle is refused, also one of types alone', () => {
  const inCircle = [...reported].filter(([, categories]) => categories.has('lint/suspicious/noImportCycles'));
  assert.deepEqual(inCircle.map(([file]) => file).sort(), Object.keys(circles).sort());
});
