/**
 * The part of pino's interface that this code uses: fields first, then a constant message. The agent passes a pino logger;
 * the wrapper passes {@link jsonLog}, because pino costs about 8 MiB a process and a wrapper is paid once a game server.
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
  /** Takes one whole line, newline included. */
  readonly write: (line: string) => void;
  readonly now: () => number;
  readonly name: string;
  readonly level?: Level;
  /** Stand in every line. */
  readonly fields?: object;
}

/** JSON lines in pino's shape (`level`, `time`, `name`, `msg`), without pino. */
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

/** Says the error and what caused it, outermost first, on one line. */
export function errorText(error: unknown): string {
  const messages: string[] = [];
  for (let cause = error, depth = 0; cause !== undefined && depth < 5; depth++) {
    if (!(cause instanceof Error)) {
      messages.push(String(cause));
      break;
    }
    // An AggregateError (a connect to several addresses) has an empty message: its parts say what happened.
    const text =
      cause.message === '' && cause instanceof AggregateError ? cause.errors.map(String).join(', ') : cause.message;
    if (text !== '' && !messages.some((message) => message.includes(text))) messages.push(text);
    cause = cause.cause;
  }
  return messages.join(': ').replace(/\s*\n\s*/g, ' ');
}

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
