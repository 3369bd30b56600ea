import { readFileSync } from 'node:fs';
import { Script } from 'node:vm';

/** What Node puts around a CommonJS module, and calls it with. */
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
 * The CommonJS module in `file`, which stands between {@link moduleHead} and {@link moduleFoot} there: to put them around it here would copy
 * it. `code` is bytecode that `createCachedData()` has made of the same text; another V8, or one with other flags, compiles the text anew.
 */
export function moduleScript(file: string, code?: Buffer): Script {
  const text = readFileSync(file, 'utf8');
  return new Script(text, { filename: file, ...(code === undefined ? {} : { cachedData: code }) });
}

/** Runs it with this `require`. */
export function runModule(script: Script, file: string, folder: string, require: NodeJS.Require): void {
  const module = { exports: {} };
  (script.runInThisContext() as ModuleFunction)(module.exports, require, module, file, folder);
}
