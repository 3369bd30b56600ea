/** The gRPC status codes that we answer with, by name. */
export const grpcCodes = {
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export type GrpcCode = (typeof grpcCodes)[keyof typeof grpcCodes];

const httpStatuses: Readonly<Record<GrpcCode, number>> = {
  2: 500,
  3: 400,
  4: 504,
  5: 404,
  6: 409,
  8: 429,
  10: 409,
  12: 501,
  13: 500,
  14: 503,
};

/**
 * Maps codes as the gateway in front of Agones' allocator does. For a request that fails validation the allocator uses
 * 422 as the code; the gateway does not know that code and answers 500.
 */
export function httpStatusOf(code: GrpcCode | 422): number {
  return code === 422 ? 500 : httpStatuses[code];
}
