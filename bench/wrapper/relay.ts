import { createServer } from 'node:net';
import { systemClock } from '../../shared/clock.ts';
import { Outbox } from '../../shared/events/outbox.ts';
import { SqsInventory } from '../../shared/events/sqs-inventory.ts';
import { decodeWrapperLine } from '../../shared/link/decode-line.ts';
import { LineDecoder } from '../../shared/link/line-decoder.ts';
import { encodeLine } from '../../shared/link/link-message.ts';
import { silentLog } from '../../shared/log.ts';
import { unknownInstance } from '../../shared/metadata/instance.ts';

/*
 * relay.ts PATH QUEUE_URL ENDPOINT: only the agent's end of the link, in a process of its own as in production.
 * Receives events, publishes them, and confirms. Ends at SIGTERM.
 */
const [path = '', queueUrl = '', endpoint = ''] = process.argv.slice(2);
const welcome = { type: 'welcome', version: 1, node: 'bench', instance: unknownInstance } as const;
/** The agent's interval. */
const aliveMs = 10_000;
const acknowledge = new Map<string, () => void>();
const outbox = new Outbox({
  inventory: new SqsInventory({ queueUrl, endpoint, region: 'us-east-1' }),
  clock: systemClock,
  log: silentLog,
  onPublished: (ids) => {
    for (const id of ids) acknowledge.get(id)?.();
    for (const id of ids) acknowledge.delete(id);
  },
});

const server = createServer((socket) => {
  const lines = new LineDecoder();
  socket.on('error', () => {});
  const showLife = setInterval(() => socket.write(encodeLine({ type: 'alive', next_ms: aliveMs })), aliveMs);
  socket.on('close', () => clearInterval(showLife));
  socket.write(encodeLine({ ...welcome, publishes: false }));
  socket.on('data', (chunk: Buffer) => {
    for (const line of lines.push(chunk)) {
      const decoded = decodeWrapperLine(line);
      if (decoded.kind !== 'message') continue;
      const { message } = decoded;
      if (message.type === 'hello') socket.write(encodeLine({ ...welcome, publishes: true }));
      if (message.type !== 'event') continue;
      const { id } = message.event;
      acknowledge.set(id, () => socket.write(encodeLine({ type: 'published', ids: [id] })));
      outbox.add(message.event);
    }
  });
});
server.listen({ path }, () => console.log('listening'));
void outbox.run(new AbortController().signal);
