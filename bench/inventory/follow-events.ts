import type { GameServerRow, NodeRow } from '../../inventory/fold/rows.ts';

export interface FollowedChange {
  readonly name: string;
  readonly row: GameServerRow | NodeRow;
}

/** Reads a reader's server-sent events until the signal aborts. */
export async function followEvents(
  url: string,
  onChange: (change: FollowedChange) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(`${url}events`, { signal });
  if (response.body === null) throw new Error(`Cannot follow ${url}events: no body`);
  let rest = '';
  try {
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        const name = /^event: (.+)$/m.exec(part)?.[1];
        const data = /^data: (.+)$/m.exec(part)?.[1];
        if (name === undefined || data === undefined) continue;
        const { row } = JSON.parse(data) as { row?: GameServerRow | NodeRow };
        if (row !== undefined) onChange({ name, row });
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
