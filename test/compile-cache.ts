/**
 * Images come compiled: here our programs are compiled once a machine, and not at each of their many starts. For
 * processes that are not to see anything else of the environment.
 */
export const compileCache: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) =>
    name === 'NODE_COMPILE_CACHE' && value !== undefined ? [[name, value]] : [],
  ),
);
