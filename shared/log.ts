/**
 * The part of pino's interface that this code uses: fields first, then a constant message. The agent passes a pino
 * logger. The wrapper passes {@link jsonLog}, because pino costs about 8 MiB in each of a node's many wrappers.
 */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const levels = { debug: 20, info: 30, warn: 40, error: 50 } as const;
export type Level = keyof typeof levels;

export interface JsonLogOptions {
  /** Takes one whole line, including its newline. */
  readonly write: (line: string) => void;
  readonly now: () => number;
  readonly name: string;
  readonly level?: Level;
  /** Added to every line. */
  readonly fields?: object;
}

/** JSON lines in pino's format (`level`, `time`, `name`, `msg`), without pino. */
export function jsonLog({ write, now, name, level = 'info', fields: always = {} }: JsonLogOptions): Log {
  const at = (lineLevel: Level) => (fields: object, message: string) => {
    if (levels[lineLevel] < levels[level]) return;
    const line = { level: levels[lineLevel], time: now(), name, ...always, ...withErrorText(fields), msg: message };
    write(`${JSON.stringify(line)}\n`);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function withErrorText(fields: object): object {
  if (!('err' in fields)) return fields;
  return { ...fields, err: errorText(fields.err) };
}

const maxCauses = 5;
const maxParts = 4;
const maxTextCharacters = 1000;

/**
 * The error and its causes, outermost first: one line of at most {@link maxTextCharacters} characters, safe for a log
 * and a terminal, with credentials removed.
 */
export function errorText(error: unknown): string {
  const messages: string[] = [];
  for (let cause = error, depth = 0; cause !== undefined && depth < maxCauses; depth++) {
    const text = messageOf(cause);
    if (text !== '' && !messages.some((message) => message.includes(text))) messages.push(text);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  const line = withoutSecrets(messages.join(': ').replace(/[\s\p{Cc}]+/gu, ' ')).trim();
  return line.length <= maxTextCharacters ? line : `${line.slice(0, maxTextCharacters - 3)}...`;
}

/** The error's own message, without its causes. */
function messageOf(error: unknown): string {
  // A thrown object may lack a conversion to text, on which String(error) would throw.
  if (!hasMessage(error)) return Object(error) === error ? Object.prototype.toString.call(error) : String(error);
  const { message } = error;
  const name = typeof error.name === 'string' ? error.name : 'Error';
  // Connecting to several addresses fails with an AggregateError whose message is empty; its parts have the reasons.
  if (message === '' && error instanceof AggregateError)
    return error.errors.slice(0, maxParts).map(errorText).join(', ');
  // AWS's errors are identified by their code, and a response without a body by its status.
  if (isAwsError(error)) return `${name}: ${/^(UnknownError)?$/.test(message) ? httpStatus(error) : message}`;
  return message === '' ? name : message;
}

/** An Error, or an object that some clients throw instead, such as a response of the Kubernetes API. */
function hasMessage(error: unknown): error is { readonly name?: unknown; readonly message: string } {
  return typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string';
}

interface AwsError {
  readonly $metadata: { readonly httpStatusCode?: number };
}

function isAwsError(error: object): error is AwsError {
  return '$metadata' in error && typeof error.$metadata === 'object' && error.$metadata !== null;
}

function httpStatus({ $metadata: { httpStatusCode } }: AwsError): string {
  return httpStatusCode === undefined ? 'no answer' : `HTTP ${httpStatusCode}`;
}

/**
 * Secrets to remove; the first group stays. AWS answers a wrong signature with the whole canonical request, session
 * token included; an address may contain a password; a Kubernetes client quotes headers.
 */
const secrets: readonly RegExp[] = [
  /(\/\/)[^\s/@]+(?=@)/g,
  /\b(authorization["']?\s*[:=]\s*["']?(?:[\w-]+\s+)?)[^\s"',;]+/gi,
  /\b(bearer\s+)[\w.~+/=-]{8,}/gi,
  /\b((?:x-am[zs]-security-token|x-amz-signature|x-aws-ec2-metadata-token|password|passwd)["']?\s*[:=]\s*["']?)[^\s"'&,;]+/gi,
  /\b((?:aws_?)?(?:secret_?access_?key|session_?token)["']?\s*[:=]\s*["']?)[^\s"'&,;]+/gi,
  // A JSON Web Token, such as a service account's.
  /\b()eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
];

function withoutSecrets(text: string): string {
  return secrets.reduce((blotted, secret) => blotted.replace(secret, '$1***'), text);
}

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
