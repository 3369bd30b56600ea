import { readFile } from 'node:fs/promises';
import { testCluster } from './test-cluster.ts';

/** The API server's record of a request: audit.k8s.io/v1, level Metadata. */
export interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
  readonly objectRef?: {
    readonly resource: string;
    readonly subresource?: string;
    readonly apiGroup?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus: { readonly code: number };
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
}

/** Requests with the tokens of pods on that node, in the order of their answers. */
export async function requestsFrom(nodeName: string): Promise<readonly AuditEvent[]> {
  const events = await eventsWith(`"${nodeName}"`);
  return events.filter(({ user }) => user.extra?.['authentication.kubernetes.io/node-name']?.includes(nodeName));
}

/** Requests of a user, in the order in which they were answered. */
export async function requestsBy(username: string): Promise<readonly AuditEvent[]> {
  return (await eventsWith(`"${username}"`)).filter(({ user }) => user.username === username);
}

async function eventsWith(word: string): Promise<readonly AuditEvent[]> {
  const text = await readFile(testCluster().auditLog, 'utf8');
  // The last line may be incomplete.
  return text
    .slice(0, text.lastIndexOf('\n'))
    .split('\n')
    .filter((line) => line.includes(word))
    .map((line) => JSON.parse(line) as AuditEvent);
}

/** `VERB RESOURCE[/SUBRESOURCE][.GROUP]`; undefined for paths without a resource. */
export function rightFor({ verb, objectRef }: Pick<AuditEvent, 'verb' | 'objectRef'>): string | undefined {
  if (objectRef === undefined) return undefined;
  const { resource, subresource, apiGroup } = objectRef;
  return `${verb} ${resource}${subresource ? `/${subresource}` : ''}${apiGroup ? `.${apiGroup}` : ''}`;
}
