import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { Clock } from '../../shared/clock.ts';
import { sendRequest } from '../../shared/http/send-request.ts';
import type { Parsed } from '../../shared/settings/setting.ts';

/** A health probe of replicas. Without a port it uses the game's. */
export type Probe =
  | { readonly kind: 'tcp'; readonly port: number | undefined }
  | { readonly kind: 'http'; readonly port: number; readonly path: string }
  | { readonly kind: 'udp'; readonly query: Buffer };

export interface ProbedReplica {
  readonly id: string;
  readonly address: string;
  readonly port: number;
}

export interface HealthProbeOptions {
  readonly probe: Probe;
  readonly intervalMs: number;
  readonly clock: Clock;
  /** The current replicas. */
  readonly replicas: () => readonly ProbedReplica[];
  readonly report: (id: string, isHealthy: boolean) => void;
}

/** Consecutive failures that make a replica unhealthy. One success makes it healthy again. */
const failuresToUnhealthy = 3;

/** Parses `tcp`, `tcp:PORT`, `http:PORT/PATH` or `udp:HEX`; HEX is a query that the game answers. */
export function parseProbe(text: string): Parsed<Probe> {
  const [kind, rest = ''] = [text.split(':', 1)[0], text.slice(text.indexOf(':') + 1)];
  const http = /^(\d{1,5})(\/\S*)?$/.exec(rest);
  if (text === 'tcp') return { value: { kind: 'tcp', port: undefined } };
  if (kind === 'tcp' && /^\d{1,5}$/.test(rest) && isPort(Number(rest))) return { value: { kind, port: Number(rest) } };
  if (kind === 'http' && http !== null && isPort(Number(http[1])))
    return { value: { kind, port: Number(http[1]), path: http[2] ?? '/' } };
  if (kind === 'udp' && /^([0-9a-fA-F]{2}){1,512}$/.test(rest))
    return { value: { kind, query: Buffer.from(rest, 'hex') } };
  return { expected: 'tcp, tcp:PORT, http:PORT/PATH or udp:HEX' };
}

function isPort(port: number): boolean {
  return port > 0 && port <= 65_535;
}

/** Probes all replicas at once, every interval, until the signal aborts. */
export async function runHealthProbe(options: HealthProbeOptions, signal: AbortSignal): Promise<void> {
  const { probe, intervalMs, clock, replicas, report } = options;
  const failures = new Map<string, number>();
  while (!signal.aborted) {
    const asked = replicas();
    await Promise.all(
      asked.map(async (replica) => {
        const isHealthy = await ask(probe, replica, AbortSignal.any([signal, AbortSignal.timeout(intervalMs)]));
        if (signal.aborted) return;
        const failed = isHealthy ? 0 : (failures.get(replica.id) ?? 0) + 1;
        failures.set(replica.id, failed);
        if (failed === 0 || failed >= failuresToUnhealthy) report(replica.id, failed === 0);
      }),
    );
    for (const id of failures.keys()) if (asked.every((replica) => replica.id !== id)) failures.delete(id);
    await clock.sleep(intervalMs, signal).catch(() => {});
  }
}

/** Whether the replica answers before the signal aborts. Never rejects. */
async function ask(probe: Probe, { address, port }: ProbedReplica, signal: AbortSignal): Promise<boolean> {
  switch (probe.kind) {
    case 'tcp':
      return connects(address, probe.port ?? port, signal);
    case 'http': {
      const host = isIPv6(address) ? `[${address}]` : address;
      try {
        const response = await sendRequest({ url: new URL(`http://${host}:${probe.port}${probe.path}`) }, signal);
        response.destroy();
        return (response.statusCode ?? 0) < 400;
      } catch {
        return false;
      }
    }
    case 'udp':
      return answers(address, port, probe.query, signal);
  }
}

async function connects(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  const socket = connect({ host, port });
  const done = Promise.withResolvers<boolean>();
  const abort = () => done.resolve(false);
  signal.addEventListener('abort', abort, { once: true });
  socket.once('connect', () => done.resolve(true)).once('error', () => done.resolve(false));
  const isHealthy = await done.promise;
  signal.removeEventListener('abort', abort);
  socket.destroy();
  return isHealthy;
}

async function answers(address: string, port: number, query: Buffer, signal: AbortSignal): Promise<boolean> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  const done = Promise.withResolvers<boolean>();
  const abort = () => done.resolve(false);
  signal.addEventListener('abort', abort, { once: true });
  socket.once('message', () => done.resolve(true)).once('error', () => done.resolve(false));
  socket.connect(port, address, () => socket.send(query, (error) => error !== null && done.resolve(false)));
  const isHealthy = await done.promise;
  signal.removeEventListener('abort', abort);
  socket.close();
  return isHealthy;
}
