import { isIP } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import type { GameServerData } from '../../shared/events/event.ts';
import { readText } from '../../shared/http/read-body.ts';
import { sendRequest } from '../../shared/http/send-request.ts';
import { parseInstant } from '../../shared/interruption/interruption.ts';
import { errorText, type Log } from '../../shared/log.ts';
import { NewCauses } from '../../shared/new-causes.ts';
import type { Upstream } from '../election/upstream.ts';
import type { UpstreamSource } from './source.ts';

export interface InventoryUpstreamsOptions {
  /** The reader's list, such as `http://127.0.0.1:8080/game-servers?match=m-7`; the query selects the match. */
  readonly url: URL;
  /** Name of the game's port in `ports`; without such a port `public_port` is used. */
  readonly portName: string;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

const requestTimeoutMs = 2000;
/** A longer list cannot be one match. */
const maxBodyBytes = 4 * 1024 * 1024;

/**
 * Polls the inventory reader for replicas. While the reader does not answer, the replicas stay as they are: traffic
 * shows which of them are gone.
 */
export function inventoryUpstreams(options: InventoryUpstreamsOptions): UpstreamSource {
  const { url, portName, intervalMs, clock, log } = options;
  return {
    run: async (report, signal) => {
      let isFailing = false;
      const causes = new NewCauses();
      while (!signal.aborted) {
        try {
          report(gameServerUpstreams(await readList(url, signal), portName));
          if (isFailing) log.info({ url: url.href }, 'Inventory reachable again');
          isFailing = false;
          causes.clear();
        } catch (error) {
          if (signal.aborted) return;
          const err = errorText(error);
          if (causes.isNew(err)) log.warn({ url: url.href, err }, 'Cannot read replicas from the inventory');
          isFailing = true;
        }
        await clock.sleep(intervalMs, signal).catch(() => {});
      }
    },
  };
}

async function readList(url: URL, signal: AbortSignal): Promise<readonly Partial<GameServerData>[]> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]);
  const response = await sendRequest({ url }, until);
  const text = await readText(response, maxBodyBytes);
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  const body: unknown = JSON.parse(text);
  const rows = (body as { game_servers?: unknown } | null)?.game_servers;
  if (!Array.isArray(rows)) throw new Error('response is not a list of game servers');
  return rows.filter((row): row is Partial<GameServerData> => typeof row === 'object' && row !== null);
}

/** Leaves out rows that cannot take traffic: ended, lost, or without an IP address or port. */
export function gameServerUpstreams(rows: readonly Partial<GameServerData>[], portName: string): readonly Upstream[] {
  return rows.flatMap((row) => {
    const readiness = readinessOf(row.status);
    // The advertised address comes first: it may be the one on this side of a NAT.
    const address = [row.public_hostname, row.public_ip].find((text) => typeof text === 'string' && isIP(text) !== 0);
    const port = row.ports?.[portName]?.port ?? row.public_port;
    if (readiness === undefined || !address || typeof port !== 'number' || typeof row.game_server_id !== 'string')
      return [];
    const sync = row.labels?.['in-sync'];
    return [
      {
        id: row.game_server_id,
        address,
        port,
        readiness,
        isInSync: sync === undefined ? undefined : sync === 'true',
        deadlineMs: parseInstant(row.deadline),
      },
    ];
  });
}

function readinessOf(status: GameServerData['status'] | undefined): Upstream['readiness'] | undefined {
  switch (status) {
    case 'starting':
      return 'starting';
    case 'ready':
    case 'allocated':
      return 'ready';
    case 'terminating':
      return 'terminating';
    case 'terminated':
    case 'lost':
    case undefined:
      return undefined;
  }
}
