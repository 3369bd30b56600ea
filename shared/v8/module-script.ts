import { readFileSync } from 'node:fs';
import { Script } from 'node:vm';

/** Node's own wrapping of a CommonJS module. */
export const moduleHead = '(function (exports, require, module, __filename, __dirname) {';
export const moduleFoot = '})';

type ModuleFunction = (
  exports: object,
  require: NodeJS.Require,
  module: { exports: object },
  file: string,
  folder: string,
) => void;

/**
 * The CommonJS module in `file`, which the build has wrapped in {@link moduleHead} and {@link moduleFoot}: wrapping it
 * here would copy it. `code` is bytecode that `createCachedData()` made of the same text. V8 ignores it if its own
 * version or flags differ.
 */
export function moduleScript(file: string, code?: Buffer): Script {
  const text = readFileSync(file, 'utf8');
  return new Script(text, { filename: file, ...(code === undefined ? {} : { cachedData: code }) });
}

export function runModule(script: Script, file: string, folder: string, require: NodeJS.Require): void {
  const module = { exports: {} };
  (script.runInThisContext() as ModuleFunction)(module.exports, require, module, file, folder);
}
