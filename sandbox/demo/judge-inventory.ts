import type { GameServerRow } from '../../inventory/fold/rows.ts';
import type { InventoryEvent } from '../../shared/events/event.ts';
import type { Happening } from './happening.ts';

/**
 * Whether the table says what is true of the machine: every game that ended is `terminated` with its exit code, every game
 * that runs is `ready` or `allocated`, and nothing else is in it.
 */
export function isInventoryTrue(
  rows: readonly GameServerRow[],
  happenings: readonly Happening[],
  originalPods: readonly string[],
): boolean {
  const isReplacement = (pod: string | null) => pod !== null && !originalPods.includes(pod);
  const running = new Set(
    happenings
      .filter(({ kind }) => kind === 'game-ready')
      .map((happening) => ('pod' in happening ? happening.pod : '')),
  );
  const exitCodes = new Map<string, number>();
  for (const happening of happenings)
    if (happening.kind === 'game-ended' && !exitCodes.has(happening.pod))
      exitCodes.set(happening.pod, happening.exitCode);
  const originals = rows.filter(({ pod }) => !isReplacement(pod));
  const replacements = rows.filter(({ pod }) => isReplacement(pod));
  const areOriginalsTrue = originalPods.every((name) =>
    originals.some(
      ({ pod, status, exit_code: code }) => pod === name && status === 'terminated' && code === exitCodes.get(name),
    ),
  );
  const areReplacementsTrue = replacements.every((row) => isUp(row) && running.has(row.pod ?? ''));
  const replacementsRunning = [...running].filter((pod) => isReplacement(pod)).length;
  return (
    areOriginalsTrue &&
    areReplacementsTrue &&
    originals.every(({ status }) => status === 'terminated') &&
    replacements.length === replacementsRunning
  );
}

/** Whether players can be on it. */
export function isUp({ status }: GameServerRow): boolean {
  return status === 'ready' || status === 'allocated';
}

/** Different events; a queue may hand out the same one twice. */
export function countReceived(events: readonly InventoryEvent[]): number {
  return new Set(events.map(({ id }) => id)).size;
}
