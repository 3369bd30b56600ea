/** The status codes of gRPC that an SDK server answers with, by name. */
export const codes = {
  unknown: 2,
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export type SdkCode = (typeof codes)[keyof typeof codes];

/**
 * What a call is answered with in place of its reply. The texts are Agones' own where it has some: games compare them.
 */
export interface SdkError {
  readonly code: SdkCode;
  readonly message: string;
}

const httpStatuses: Readonly<Record<SdkCode, number>> = {
  2: 500,
  3: 400,
  5: 404,
  7: 403,
  8: 429,
  12: 501,
  13: 500,
  14: 503,
};

/** As the gateway in front of Agones' gRPC server maps them. */
export function httpStatusOf(code: SdkCode): number {
  return httpStatuses[code];
}
