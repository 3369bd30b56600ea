import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';

/** Every document of a YAML or JSON file, `-` for standard input. Rejects with a FatalError that names the file. */
export async function readDocuments(file: string): Promise<readonly unknown[]> {
  try {
    const content = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
    const { parseAllDocuments } = await import('yaml');
    const documents = parseAllDocuments(content);
    return (Array.isArray(documents) ? documents : []).map((document) => {
      const [error] = document.errors;
      if (error !== undefined) throw error;
      return document.toJS({ maxAliasCount: 100 }) as unknown;
    });
  } catch (error) {
    throw new FatalError(`Cannot read ${file}: ${errorText(error)}`, { status: exitStatus.noInput, cause: error });
  }
}

export async function toYaml(document: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(document, { lineWidth: 0 });
}
