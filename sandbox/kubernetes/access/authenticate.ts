import { Refusal, unauthorized } from '../status-errors.ts';
import { apiAudience, type TokenIssuer } from './tokens.ts';
import { anonymous, authenticated, type User } from './user.ts';

export interface Authentication {
  /** Users by their bearer token. Tokens of service accounts work besides. */
  readonly tokens: ReadonlyMap<string, User>;
  readonly issuer: TokenIssuer;
  /** Who calls without credentials. */
  readonly withoutCredentials: User;
}

/** Who calls. Throws 401 for a token that is none. */
export function authenticate(by: Authentication, authorization: string | undefined): User {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) return by.withoutCredentials;
  const user = by.tokens.get(token);
  if (user !== undefined) return user === anonymous ? user : authenticated(user);
  const verdict = by.issuer.check(token, [apiAudience]);
  if (verdict.kind === 'refused') throw new Refusal(unauthorized());
  return verdict.user;
}
