import { readFileSync } from 'node:fs';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { hasCode } from '../../shared/system-error.ts';
import type { Property, Template } from '../settings/parse-setting.ts';
import { overwriteFile } from './overwrite-file.ts';
import { fillIn, type Placeholders, setProperty } from './placeholders.ts';
import { decodeText, encodeText, ownText, textFormOf } from './text-form.ts';

/** Writes the game's config files. Throws a FatalError that names the file. */
export function writeConfigFiles(
  templates: readonly Template[],
  properties: readonly Property[],
  placeholders: Placeholders,
): void {
  for (const { source, destination } of templates) {
    const act = `Cannot read template ${source}`;
    const content = attempt(act, exitStatus.noInput, () => readFileSync(source));
    rewrite(act, content, destination, (text, own) =>
      fillIn(text, Object.fromEntries(Object.entries(placeholders).map(([name, value]) => [name, own(value)]))),
    );
  }
  for (const { file, key, value } of properties) {
    const act = `Cannot read properties file ${file}`;
    const content = attempt(act, exitStatus.noInput, () => readIfThere(file));
    rewrite(act, content, file, (text, own) => setProperty(text, own(key), own(fillIn(value, placeholders))));
  }
}

/** A missing file is fine: many games write the properties file themselves and keep what is in it. */
function readIfThere(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return Buffer.alloc(0);
    throw error;
  }
}

/** Writes `content` to `file` with its text changed and its form kept. `own` converts our text to that form. */
function rewrite(
  act: string,
  content: Buffer,
  file: string,
  change: (text: string, own: (text: string) => string) => string,
): void {
  const form = textFormOf(content);
  if (form === undefined)
    throw new FatalError(`${act}: it is UTF-32, expected UTF-8 or UTF-16`, { status: exitStatus.noInput });
  const changed = change(decodeText(content, form), (text) => ownText(text, form));
  attempt(`Cannot write config file ${file}`, exitStatus.cannotCreate, () =>
    overwriteFile(file, encodeText(changed, form)),
  );
}

function attempt<T>(act: string, status: number, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new FatalError(`${act}: ${error instanceof Error ? error.message : String(error)}`, { status, cause: error });
  }
}
