/** Exit statuses of our own errors, as in BSD's sysexits.h. A game's own status is passed on unchanged. */
export const exitStatus = {
  usage: 64,
  noInput: 66,
  noHost: 68,
  unavailable: 69,
  software: 70,
  osError: 71,
  cannotCreate: 73,
  temporaryFailure: 75,
  noPermission: 77,
  config: 78,
} as const;

/** An expected failure that ends the process: `main.ts` prints its message as one line and exits with its status. */
export class FatalError extends Error {
  readonly status: number;

  constructor(message: string, options: ErrorOptions & { readonly status: number }) {
    super(message, options);
    this.name = 'FatalError';
    this.status = options.status;
  }
}
