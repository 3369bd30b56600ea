import type { GrpcCode } from './grpc-code.ts';

/** A request that gets no game server, with the error for its sender. */
export class RequestError extends Error {
  readonly code: GrpcCode | 422;

  constructor(message: string, options: ErrorOptions & { readonly code: GrpcCode | 422 }) {
    super(message, options);
    this.name = 'RequestError';
    this.code = options.code;
  }
}
