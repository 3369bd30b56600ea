import { type MetadataClient, MetadataError } from './metadata-client.ts';

/** Facts about the EC2 instance for the inventory. undefined: the metadata service does not have it. */
export interface Instance {
  readonly instanceId: string | undefined;
  readonly instanceType: string | undefined;
  readonly region: string | undefined;
  readonly zone: string | undefined;
  /** `spot` or `on-demand`, in EC2's words. */
  readonly lifecycle: string | undefined;
  readonly publicHostname: string | undefined;
  readonly publicIpv4: string | undefined;
  readonly localIpv4: string | undefined;
  /** IPv6 addresses are public; undefined: the subnet has no IPv6. */
  readonly ipv6: string | undefined;
}

export type InstanceFact = keyof Instance;

export const unknownInstance: Instance = {
  instanceId: undefined,
  instanceType: undefined,
  region: undefined,
  zone: undefined,
  lifecycle: undefined,
  publicHostname: undefined,
  publicIpv4: undefined,
  localIpv4: undefined,
  ipv6: undefined,
};

/** The facts that could be read, and why the others could not. */
export interface InstanceReading {
  readonly facts: Partial<Instance>;
  /** Missing facts, in the order in which to ask for them next. */
  readonly missing: readonly InstanceFact[];
  /** One per fact without a valid response. */
  readonly problems: readonly MetadataError[];
}

const paths: { readonly [K in InstanceFact]: string } = {
  instanceId: 'instance-id',
  instanceType: 'instance-type',
  region: 'placement/region',
  zone: 'placement/availability-zone',
  lifecycle: 'instance-life-cycle',
  publicHostname: 'public-hostname',
  publicIpv4: 'public-ipv4',
  localIpv4: 'local-ipv4',
  ipv6: 'ipv6',
};

export const instanceFacts: readonly InstanceFact[] = Object.keys(paths) as InstanceFact[];

/** Names, addresses and IDs. Anything else is an error page or a directory and must not get into an event. */
const fact = /^[\w.:-]{1,253}$/;

/** Half of a client's connections, so that a notice does not wait behind nine facts of a slow service. */
const maxAtOnce = 2;

/**
 * Reads the named facts one by one: an invalid one is missing without affecting others. If the service does not respond
 * at all, reading ends with the first failure, because the others would only time out as well. Rejects with the
 * signal's reason.
 */
export async function readInstance(
  metadata: MetadataClient,
  names: readonly InstanceFact[] = instanceFacts,
  signal?: AbortSignal,
): Promise<InstanceReading> {
  const facts: Partial<Record<InstanceFact, string | undefined>> = {};
  const failed: InstanceFact[] = [];
  const problems: MetadataError[] = [];
  const waiting = [...names];
  let isAnswered = false;
  const readOn = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      try {
        facts[name] = await readFact(metadata, paths[name], signal);
        isAnswered = true;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof MetadataError)) throw error;
        failed.push(name);
        problems.push(error);
        isAnswered ||= error.failure === 'garbage' || error.failure === 'status';
        if (!isAnswered) return;
      }
    }
  };
  await Promise.all(Array.from({ length: maxAtOnce }, readOn));
  // A fact that hangs goes last, so that it does not block the others next time.
  return { facts, missing: [...waiting, ...failed], problems };
}

async function readFact(metadata: MetadataClient, path: string, signal?: AbortSignal): Promise<string | undefined> {
  const answer = await metadata.get(`/latest/meta-data/${path}`, signal);
  // Instances without a public address respond 404, some mocks with an empty body.
  const text = answer.kind === 'found' ? answer.body.trim() : '';
  if (text === '') return undefined;
  if (!fact.test(text))
    throw new MetadataError('garbage', `Cannot read instance metadata ${path}: the response is not a name or address`);
  return text;
}
