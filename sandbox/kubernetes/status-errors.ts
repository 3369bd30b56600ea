/** The Status bodies of an API server's refusals, as values: each with its wording, reason and details. */

export interface Cause {
  readonly reason?: string;
  readonly message: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
}

export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** Carries a refusal out of nested calls. */
export class Refusal extends Error {
  readonly status: Status;

  constructor(status: Status, options?: ErrorOptions) {
    super(`${status.code ?? 500} ${status.reason ?? 'InternalError'}: ${status.message ?? ''}`, options);
    this.name = 'Refusal';
    this.status = status;
  }
}

/** The object that an error names: `plural` for 403, 404 and 409, `kind` for 422. */
export interface Named {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

function failure(code: number, reason: string | undefined, message: string, details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason === undefined ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
    code,
  };
}

function groupOf(named: { readonly group: string }): { group?: string } {
  return named.group === '' ? {} : { group: named.group };
}

function qualified(word: string, group: string): string {
  return group === '' ? word : `${word}.${group}`;
}

function detailsOf(named: Named, name: string): StatusDetails {
  return { ...(name === '' ? {} : { name }), ...groupOf(named), kind: named.plural };
}

export function success(code?: number, details?: StatusDetails): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
    ...(code === undefined ? {} : { code }),
  };
}

export const badRequest = (message: string): Status => failure(400, 'BadRequest', message);
export const unauthorized = (): Status => failure(401, 'Unauthorized', 'Unauthorized');
export const methodNotAllowed = (): Status =>
  failure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
export const notAcceptable = (): Status =>
  failure(
    406,
    'NotAcceptable',
    '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    {},
  );
export const unsupportedBody = (): Status =>
  failure(
    415,
    'UnsupportedMediaType',
    'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
  );
export const unsupportedPatch = (): Status => failure(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
export const tooLarge = (limitBytes: number): Status =>
  failure(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`, {});
export const internalError = (message: string): Status => failure(500, undefined, message);
export const unknownResource = (): Status =>
  failure(404, 'NotFound', 'the server could not find the requested resource', {});

export function notFound(named: Named, name: string): Status {
  const message = `${qualified(named.plural, named.group)} "${name}" not found`;
  return failure(404, 'NotFound', message, detailsOf(named, name));
}

export function alreadyExists(named: Named, name: string): Status {
  const message = `${qualified(named.plural, named.group)} "${name}" already exists`;
  return failure(409, 'AlreadyExists', message, detailsOf(named, name));
}

export function conflict(named: Named, name: string, cause?: string): Status {
  const why = cause ?? 'the object has been modified; please apply your changes to the latest version and try again';
  const message = `Operation cannot be fulfilled on ${qualified(named.plural, named.group)} "${name}": ${why}`;
  return failure(409, 'Conflict', message, detailsOf(named, name));
}

/** The conflict of a precondition: it names the Kind, where other conflicts name the resource. */
export function preconditionFailed(named: Named, name: string, cause: string): Status {
  const message = `Operation cannot be fulfilled on ${qualified(named.kind, named.group)} "${name}": ${cause}`;
  return failure(409, 'Conflict', message, { name, ...groupOf(named), kind: named.kind });
}

export function forbidden(named: Named, name: string, why: string, causes?: readonly Cause[]): Status {
  const subject = qualified(named.plural, named.group);
  const message = name === '' ? `${subject} is forbidden: ${why}` : `${subject} "${name}" is forbidden: ${why}`;
  const details = { ...detailsOf(named, name), ...(causes === undefined ? {} : { causes }) };
  return failure(403, 'Forbidden', message, details);
}

export function forbiddenPath(user: string, verb: string, path: string): Status {
  return failure(403, 'Forbidden', `forbidden: User "${user}" cannot ${verb} path "${path}"`, {});
}

/** 422 with its causes; the message repeats each cause after its field, in brackets if there are several. */
export function invalid(named: { group: string; kind: string }, name: string, causes: readonly Cause[]): Status {
  const distinct = [...new Set(causes.map((cause) => `${cause.field}: ${cause.message}`))];
  const list = distinct.length === 1 ? distinct[0] : `[${distinct.join(', ')}]`;
  const details = {
    ...(name === '' ? {} : { name }),
    ...groupOf(named),
    ...(named.kind === '' ? {} : { kind: named.kind }),
    causes,
  };
  return failure(422, 'Invalid', `${qualified(named.kind, named.group)} "${name}" is invalid: ${list}`, details);
}

export function tooManyRequests(message: string, causes: readonly Cause[] = [], retryAfterSeconds?: number): Status {
  return failure(429, 'TooManyRequests', message, {
    ...(causes.length === 0 ? {} : { causes }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}

export function expired(message: string, continueToken?: string): Status {
  const status = failure(410, 'Expired', message);
  return continueToken === undefined ? status : { ...status, metadata: { continue: continueToken } };
}

export function versionTooLarge(asked: number, current: number): Status {
  return failure(504, 'Timeout', `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

/** The causes of 422, by Kubernetes' reason for each. */
export const required = (field: string, message?: string): Cause => ({
  reason: 'FieldValueRequired',
  message: message === undefined ? 'Required value' : `Required value: ${message}`,
  field,
});
export const invalidValue = (field: string, value: string, why: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${value}: ${why}`,
  field,
});
export const forbiddenField = (field: string, why: string): Cause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${why}`,
  field,
});
export const unsupportedValue = (field: string, value: string, supported: readonly string[]): Cause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: "${value}": supported values: ${supported.map((one) => `"${one}"`).join(', ')}`,
  field,
});
