/**
 * V8 makes no more baseline code (Sparkplug) of functions that run a second time: a process that does a little every half minute gains
 * nothing from it, and pays 0.2 to 0.4 MiB. What is really hot is optimized all the same. To be called once all is loaded: V8 does not take
 * Node's own bytecode of modules that are loaded under other flags, and compiles them.
 */
export function keepToBytecode(): void {
  // Loaded late: it takes 2 ms, which a game's start need not wait for.
  process.getBuiltinModule('node:v8').setFlagsFromString('--no-sparkplug');
}
