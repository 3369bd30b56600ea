import type { Programs } from './programs.ts';
export async function runFlood(_p: Programs, _o: { addresses: number; path: string }): Promise<object> {
  return {};
}
