import { Refusal, unauthorized } from '../status-errors.ts';
import { apiAudience, type TokenIssuer } from './tokens.ts';
import { anonymous, authenticated, type User } from './user.ts';

export interface Authentication {
  /** Users by their bearer token. Service account tokens work as well. */
  readonly tokens: ReadonlyMap<string, User>;
  readonly issuer: TokenIssuer;
  /** The user of calls without credentials. */
  readonly withoutCredentials: User;
}

/** Returns the caller. Throws 401 for an invalid token. */
export function authenticate(by: Authentication, authorization: string | undefined): User {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) return by.withoutCredentials;
  const user = by.tokens.get(token);
  if (user !== undefined) return user === anonymous ? user : authenticated(user);
  const verdict = by.issuer.check(token, [apiAudience]);
  if (verdict.kind === 'refused') throw new Refusal(unauthorized());
  return verdict.user;
}
