import type { PolicyRule } from '../objects.ts';

export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  /** Rights in addition to roles and bindings. */
  readonly rules?: readonly PolicyRule[];
}

/** Members may do everything. */
export const masters = 'system:masters';

export const admin: User = { name: 'kubernetes-admin', groups: [masters, 'system:authenticated'] };
export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

export function authenticated(user: User): User {
  const groups = user.groups ?? [];
  return groups.includes('system:authenticated') ? user : { ...user, groups: [...groups, 'system:authenticated'] };
}
