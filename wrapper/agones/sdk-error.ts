/** The gRPC status codes that an SDK server answers with, by name. */
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

/** An answer in place of a call's reply. The texts are Agones' own if Agones has one, because games compare them. */
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

/** Maps codes as the gateway in front of Agones' gRPC server does. */
export function httpStatusOf(code: SdkCode): number {
  return httpStatuses[code];
}
