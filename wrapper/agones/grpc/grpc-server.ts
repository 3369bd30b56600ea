import { createServer, type Server as NetServer, type Socket } from 'node:net';
import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type StatusObject,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { listenOnLoopback } from '../listen-on-loopback.ts';
import { Fields, type Message } from '../protocol/fields.ts';
import { methods, type SdkMethod, type ServiceName } from '../protocol/methods.ts';
import { maxBodyBytes } from '../rest/read-body.ts';
import {
  firstByteLimitMs,
  maxConnections,
  refusedLingerMs,
  type SdkEndpoint,
  type SdkListener,
} from '../sdk-endpoint.ts';
import { codes, type SdkError } from '../sdk-error.ts';
// Generated from Agones' own .proto files, see build/agones/README.md.
import definition from './definition.json' with { type: 'json' };

/** Maximum concurrent calls and watches on one connection: each may hold messages that its client does not read. */
const maxStreams = 100;

/**
 * Serves the SDK over gRPC, which most of Agones' SDKs speak. Kept separate and loaded on demand: it costs a process
 * about 20 MiB.
 */
export async function startGrpcServer(endpoint: SdkEndpoint): Promise<SdkListener> {
  const callers = new Callers();
  const server = new Server({
    'grpc.max_receive_message_length': maxBodyBytes,
    'grpc.max_concurrent_streams': maxStreams,
    // Channelz keeps records of connections for tools that nobody uses with a game.
    'grpc.enable_channelz': 0,
  });
  const packages = fromJSON(definition as Parameters<typeof fromJSON>[0], {
    keepCase: true,
    longs: String,
    defaults: true,
    arrays: true,
  });
  for (const name of serviceNames)
    server.addService(packages[name] as ServiceDefinition, implementation(name, endpoint, callers));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const accept = (socket: Socket) => void acceptCaller(socket, endpoint, callers, injector);
  const listeners = [listener(accept), listener(accept)] as const;
  const port = await listenOnLoopback(...listeners);
  return {
    port,
    close() {
      for (const one of listeners) one.close();
      callers.close();
      injector.destroy();
      server.forceShutdown();
    },
  };
}

const serviceNames: readonly ServiceName[] = [...new Set(methods.map(({ service }) => service))];

function listener(accept: (socket: Socket) => void): NetServer {
  // Data that arrives before the caller is identified waits in the socket's buffer, from which HTTP/2 reads later.
  const server = createServer({ noDelay: true }, accept);
  server.maxConnections = maxConnections;
  return server;
}

/** The open connections, by gRPC's name for them, and whether the game owns each. */
class Callers {
  readonly #own = new Map<string, boolean>();
  readonly #sockets = new Set<Socket>();

  add(socket: Socket): void {
    this.#sockets.add(socket);
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    // Another program may get the port a moment later.
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#own.delete(peer);
    });
  }

  judge(socket: Socket, isOwn: boolean): void {
    if (!socket.destroyed) this.#own.set(`${socket.remoteAddress}:${socket.remotePort}`, isOwn);
  }

  isOwn(peer: string): boolean {
    return this.#own.get(peer) === true;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function acceptCaller(
  socket: Socket,
  endpoint: SdkEndpoint,
  callers: Callers,
  injector: { injectConnection(connection: Socket): void },
): Promise<void> {
  socket.on('error', () => {});
  callers.add(socket);
  const { remoteAddress: address = '', remotePort: port = 0, localPort = 0 } = socket;
  const isOwn = await endpoint.isOwn({ address, port, localPort });
  if (socket.destroyed) return;
  callers.judge(socket, isOwn);
  // Let a stranger connect so that it sees the refusal, and close a connection that stays silent.
  const limit = setTimeout(
    () => {
      if (!isOwn || socket.bytesRead === 0) socket.destroy();
    },
    isOwn ? firstByteLimitMs : refusedLingerMs,
  );
  socket.once('close', () => clearTimeout(limit));
  injector.injectConnection(socket);
}

function implementation(service: ServiceName, endpoint: SdkEndpoint, callers: Callers): UntypedServiceImplementation {
  const handlers = methods
    .filter((method) => method.service === service)
    .map((method) => [method.name, handlerOf(method, endpoint, callers)] as const);
  return Object.fromEntries(handlers);
}

function handlerOf(method: SdkMethod, endpoint: SdkEndpoint, callers: Callers): UntypedServiceImplementation[string] {
  switch (method.kind) {
    case 'unary':
      return unary(method, endpoint, callers);
    case 'health':
      return health(method, endpoint, callers);
    case 'watch':
      return watch(endpoint, callers);
  }
}

const stranger: Partial<StatusObject> = statusOf({
  code: codes.permissionDenied,
  message: 'only the game of this wrapper may call its SDK server (see --sdk-open)',
});
const tooManyWatchers: Partial<StatusObject> = statusOf({
  code: codes.resourceExhausted,
  message: 'too many watchers',
});

function unary(method: SdkMethod, endpoint: SdkEndpoint, callers: Callers): handleUnaryCall<Message, object> {
  return (call: ServerUnaryCall<Message, object>, answer) => {
    if (!callers.isOwn(call.getPeer())) return answer(stranger);
    const fields = new Fields(method.unwrap?.(call.request) ?? call.request);
    const asked = method.read(fields);
    if (fields.problem !== undefined) return answer(statusOf({ code: codes.invalidArgument, message: fields.problem }));
    const answered = endpoint.call(asked);
    if ('error' in answered) answer(statusOf(answered.error));
    else answer(null, answered.reply);
  };
}

function health(
  method: SdkMethod,
  endpoint: SdkEndpoint,
  callers: Callers,
): handleClientStreamingCall<Message, object> {
  return (call, answer) => {
    if (!callers.isOwn(call.getPeer())) return answer(stranger);
    call.on('data', (message: Message) => endpoint.call(method.read(new Fields(message))));
    call.on('end', () => answer(null, {}));
    // The game closed the connection without ending the call: missing messages will show that.
    call.on('error', () => {});
  };
}

function watch(endpoint: SdkEndpoint, callers: Callers): handleServerStreamingCall<Message, object> {
  return (call) => {
    if (!callers.isOwn(call.getPeer())) return void call.emit('error', stranger);
    const watching = endpoint.watch({
      write: (snapshot) => call.write(snapshot.document),
      close: (error) => (error === undefined ? call.end() : call.destroy(error)),
    });
    if (watching === undefined) return void call.emit('error', tooManyWatchers);
    call.on('drain', () => watching.resume());
    for (const end of ['cancelled', 'close', 'error']) call.on(end, () => watching.stop());
  };
}

function statusOf({ code, message }: SdkError): Partial<StatusObject> {
  return { code, details: message };
}
