import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { systemClock } from '../../shared/clock.ts';
import { Outbox } from '../../shared/inventory/outbox.ts';
import { SqsInventory } from '../../shared/inventory/sqs-inventory.ts';
import { decodeWrapperLine } from '../../shared/link/decode-line.ts';
import { LineDecoder } from '../../shared/link/line-decoder.ts';
import { encodeLine } from '../../shared/link/link-message.ts';
import { silentLog } from '../../shared/log.ts';
import { unknownInstance } from '../../shared/metadata/instance.ts';

/** The agent's end of the link, and no more: takes events, publishes them, says so. */
export interface Relay {
  /** How often an event of this type has been taken by the queue. */
  taken(name: string): number;
  close(): Promise<void>;
}

export async function startRelay(path: string, queueUrl: string, endpoint: string): Promise<Relay> {
  const stop = new AbortController();
  const owners = new Map<string, { readonly socket: Socket; readonly name: string }>();
  const counts = new Map<string, number>();
  const outbox = new Outbox({
    inventory: new SqsInventory({ queueUrl, endpoint, region: 'us-east-1' }),
    clock: systemClock,
    log: silentLog,
    onPublished: (ids) => {
      for (const id of ids) {
        const owner = owners.get(id);
        owners.delete(id);
        if (owner === undefined) continue;
        counts.set(owner.name, (counts.get(owner.name) ?? 0) + 1);
        owner.socket.write(encodeLine({ type: 'published', ids: [id] }));
      }
    },
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const lines = new LineDecoder();
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const line of lines.push(chunk)) {
        const decoded = decodeWrapperLine(line);
        if (decoded.kind !== 'message') continue;
        const { message } = decoded;
        if (message.type === 'hello')
          socket.write(
            encodeLine({ type: 'welcome', version: 1, publishes: true, node: 'bench', instance: unknownInstance }),
          );
        if (message.type !== 'event') continue;
        owners.set(message.event.id, { socket, name: message.event.type.split('.').at(-2) ?? '' });
        outbox.add(message.event);
      }
    });
  }).listen({ path });
  await once(server, 'listening');
  void outbox.run(stop.signal);
  return {
    taken: (name) => counts.get(name) ?? 0,
    close: async () => {
      stop.abort();
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
