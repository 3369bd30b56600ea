import { fork } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Afterwards } from '../wrapper/wrapper-process.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** The SDK server in a process of its own, open to everybody. */
export class SdkProcess {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly #memory: () => Promise<number>;

  private constructor(environment: Readonly<Record<string, string>>, memory: () => Promise<number>) {
    this.httpPort = Number(environment['AGONES_SDK_HTTP_PORT']);
    this.grpcPort = Number(environment['AGONES_SDK_GRPC_PORT']);
    this.#memory = memory;
  }

  static async start(t: Afterwards, ...args: readonly 'stopped-clock'[]): Promise<SdkProcess> {
    const program = fileURLToPath(new URL('fixtures/sdk-process.ts', import.meta.url));
    const child = fork(program, args, { execArgv: ['--expose-gc'] });
    t.after(() => child.kill('SIGKILL'));
    const [environment] = (await once(child, 'message')) as [Record<string, string>];
    return new SdkProcess(environment, async () => {
      child.send('memory');
      const [bytes] = (await once(child, 'message')) as [number];
      return bytes / 2 ** 20;
    });
  }

  /** Resident memory after a collection, in MiB. */
  memoryMib(): Promise<number> {
    return this.#memory();
  }

  async call(method: string, path: string, body?: string | Buffer): Promise<HttpAnswer> {
    return callOn(this.httpPort, method, path, body);
  }

  /** A connection that is written by hand. */
  async connect(t: Afterwards, port: number = this.httpPort): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }
}

/** One request over a connection of its own. */
export async function callOn(port: number, method: string, path: string, body?: string | Buffer): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const outgoing = request({ host: '127.0.0.1', port, method, path, agent: false }, async (response) => {
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    resolve({ status: response.statusCode ?? 0, body: text });
  });
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

/** All that comes until the other end closes. */
export async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  return text;
}
