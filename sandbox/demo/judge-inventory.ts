import type { GameServerRow } from '../../inventory/fold/rows.ts';
import type { InventoryEvent } from '../../shared/events/event.ts';
import type { DemoEvent } from './demo-event.ts';

/**
 * Whether the table matches the machine: every game that ended is `terminated` with its exit code, every running game
 * is `ready` or `allocated`, and nothing else is in the table.
 */
export function isInventoryTrue(
  rows: readonly GameServerRow[],
  demoEvents: readonly DemoEvent[],
  originalPods: readonly string[],
): boolean {
  const isReplacement = (pod: string | null) => pod !== null && !originalPods.includes(pod);
  const running = new Set(
    demoEvents
      .filter(({ kind }) => kind === 'game-ready')
      .map((demoEvent) => ('pod' in demoEvent ? demoEvent.pod : '')),
  );
  const exitCodes = new Map<string, number>();
  for (const demoEvent of demoEvents)
    if (demoEvent.kind === 'game-ended' && !exitCodes.has(demoEvent.pod))
      exitCodes.set(demoEvent.pod, demoEvent.exitCode);
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

/** Distinct events; a queue may deliver the same one twice. */
export function countReceived(events: readonly InventoryEvent[]): number {
  return new Set(events.map(({ id }) => id)).size;
}
