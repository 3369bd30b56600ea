import type { Message } from '../protocol/fields.ts';
import { methods, type SdkMethod } from '../protocol/methods.ts';
import { codes, type SdkError } from '../sdk-error.ts';

export interface Route {
  readonly method: SdkMethod;
  /** Fields from the path and the query. */
  readonly fields: Message;
}

interface Pattern {
  readonly method: SdkMethod;
  readonly expression: RegExp;
  readonly field: string | undefined;
}

const patterns: readonly Pattern[] = methods.map((method) => {
  const [before = '', field, after = ''] = method.path.split(/\{(\w+)\}/);
  return { method, field, expression: new RegExp(`^${before}${field === undefined ? '' : '([^/]+)'}${after}$`) };
});

/** Finds the call for a request line. Errors are worded as in Agones' gateway. */
export function findRoute(verb: string, target: string): Route | SdkError {
  const [path = '', query = ''] = target.split('?', 2);
  const matching = patterns.filter(({ expression }) => expression.test(path));
  if (matching.length === 0) return { code: codes.notFound, message: 'Not Found' };
  const found = matching.find(({ method }) => method.verb === verb);
  if (found === undefined) return { code: codes.unimplemented, message: 'Method Not Allowed' };
  const { method, expression, field } = found;
  if (field === undefined) return { method, fields: {} };
  const text = decode(expression.exec(path)?.[1] ?? '');
  if (text === undefined) return { code: codes.invalidArgument, message: 'malformed path escape' };
  const mask = new URLSearchParams(query).get('updateMask') ?? new URLSearchParams(query).get('update_mask');
  return { method, fields: { [field]: text, ...(mask === null ? {} : { updateMask: mask }) } };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
