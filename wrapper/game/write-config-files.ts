import { readFileSync, writeFileSync } from 'node:fs';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import type { Property, Template } from '../parse-setting.ts';
import { hasCode } from '../system-error.ts';
import { fillIn, type Placeholders, setProperty } from './placeholders.ts';

/** Writes the game's config files. Throws a FatalError that names the file. */
export function writeConfigFiles(
  templates: readonly Template[],
  properties: readonly Property[],
  placeholders: Placeholders,
): void {
  for (const { source, destination } of templates) {
    const content = attempt(`Cannot read template ${source}`, exitStatus.noInput, () => readFileSync(source, 'utf8'));
    write(destination, fillIn(content, placeholders));
  }
  for (const { file, key, value } of properties) {
    const content = attempt(`Cannot read properties file ${file}`, exitStatus.noInput, () => readIfThere(file));
    write(file, setProperty(content, key, fillIn(value, placeholders)));
  }
}

/** Many games write a missing properties file themselves and keep what is in it. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  }
}

function write(file: string, content: string): void {
  attempt(`Cannot write config file ${file}`, exitStatus.cannotCreate, () => writeFileSync(file, content));
}

function attempt<T>(act: string, status: number, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new FatalError(`${act}: ${error instanceof Error ? error.message : String(error)}`, { status, cause: error });
  }
}
