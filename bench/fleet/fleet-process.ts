import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { namespace } from './bench-cluster.ts';

export interface Reply {
  readonly status: number;
  readonly body: { readonly gameServerName?: string; readonly nodeName?: string; readonly message?: string };
}

/** One replica, as it is shipped: the bundle, and the flags of its manifest. */
export class FleetProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
  }

  static async start(bundle: string, identity: string, kubeconfig: string): Promise<FleetProcess> {
    const child = spawn(process.execPath, [bundle, 'serve'], {
      env: {
        PATH: process.env['PATH'] ?? '',
        KUBECONFIG: kubeconfig,
        NAMESPACE: namespace,
        POD_NAME: identity,
        LISTEN: '0',
        METRICS_PORT: '0',
        MALLOC_TRIM_THRESHOLD_: '131072',
        MALLOC_TOP_PAD_: '0',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const ports = new Map<string, number>();
    const started = Promise.withResolvers<void>();
    child.once('exit', (code) => started.reject(new Error(`The fleet process ended with ${code}`)));
    createInterface({ input: child.stderr ?? process.stdin }).on('line', (line) => {
      if (!line.startsWith('{')) return void process.stderr.write(`${line}\n`);
      const { msg, port } = JSON.parse(line) as { msg: string; port?: number };
      if (port !== undefined) ports.set(msg, port);
      if (ports.has('Allocations are served') && ports.has('Metrics server listening')) started.resolve();
    });
    await started.promise;
    for (const metrics = ports.get('Metrics server listening'); ; ) {
      const response = await fetch(`http://127.0.0.1:${metrics}/readyz`).catch(() => undefined);
      if (response?.status === 200) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return new FleetProcess(child, ports.get('Allocations are served') ?? 0);
  }

  /** Gives up after `abortMs`: the request may have been carried out, and nobody hears of it. */
  allocate(body: object, abortMs?: number): Promise<Reply | undefined> {
    return new Promise((resolve) => {
      const outgoing = request(
        { host: '127.0.0.1', port: this.#port, method: 'POST', path: '/gameserverallocation', agent: this.#agent },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.once('end', () =>
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Reply['body'] }),
          );
        },
      );
      outgoing.once('error', () => resolve(undefined));
      outgoing.end(JSON.stringify({ namespace, ...body }));
      if (abortMs !== undefined) setTimeout(() => outgoing.destroy(), abortMs).unref();
    });
  }

  /** Resident memory now and at most, MiB. */
  get memory(): { readonly now: number; readonly max: number } {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024;
    return { now: mib('VmRSS'), max: mib('VmHWM') };
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.isRunning) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    await this.kill();
  }
}
