import { readFileSync, writeFileSync } from 'node:fs';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { hasCode } from '../../shared/system-error.ts';
import type { Property, Template } from '../settings/parse-setting.ts';
import { fillIn, type Placeholders, setProperty } from './placeholders.ts';

/** Writes the game's config files. Throws a FatalError that names the file. */
export function writeConfigFiles(
  templates: readonly Template[],
  properties: readonly Property[],
  placeholders: Placeholders,
): void {
  for (const { source, destination } of templates) {
    const content = attempt(`Cannot read template ${source}`, exitStatus.noInput, () => readBytes(source));
    write(destination, fillIn(content, asBytes(placeholders)));
  }
  for (const { file, key, value } of properties) {
    const content = attempt(`Cannot read properties file ${file}`, exitStatus.noInput, () => readIfThere(file));
    write(file, setProperty(content, bytesOf(key), bytesOf(fillIn(value, placeholders))));
  }
}

/** Many games write a missing properties file themselves and keep what is in it. */
function readIfThere(file: string): string {
  try {
    return readBytes(file);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  }
}

function write(file: string, bytes: string): void {
  attempt(`Cannot write config file ${file}`, exitStatus.cannotCreate, () => writeFileSync(file, bytes, 'latin1'));
}

/** One character a byte: whatever encoding the file has, what we do not touch stays as it is. */
function readBytes(file: string): string {
  return readFileSync(file, 'latin1');
}

/** What we put in is UTF-8. */
function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function asBytes(placeholders: Placeholders): Placeholders {
  return Object.fromEntries(Object.entries(placeholders).map(([name, value]) => [name, bytesOf(value)]));
}

function attempt<T>(act: string, status: number, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw new FatalError(`${act}: ${error instanceof Error ? error.message : String(error)}`, { status, cause: error });
  }
}
