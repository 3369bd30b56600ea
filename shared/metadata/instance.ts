import { type MetadataClient, MetadataError } from './metadata-client.ts';

/** What the inventory says of the EC2 instance. Undefined: the metadata service does not say. */
export interface Instance {
  readonly instanceId: string | undefined;
  readonly instanceType: string | undefined;
  readonly region: string | undefined;
  readonly zone: string | undefined;
  /** `spot` or `on-demand`, as EC2 says it. */
  readonly lifecycle: string | undefined;
  readonly publicHostname: string | undefined;
  readonly publicIpv4: string | undefined;
  readonly localIpv4: string | undefined;
  /** Public by its nature, where the subnet has IPv6. */
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

/** What could be read, and why the rest could not. */
export interface InstanceReading {
  readonly facts: Partial<Instance>;
  /** Facts that are still to be had, in the order in which to ask for them next. */
  readonly missing: readonly InstanceFact[];
  /** One for each fact whose answer was no fact, or that was not answered. */
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

/** Names, addresses and ids: what is none of them is an error page or a directory, and belongs in no event. */
const fact = /^[\w.:-]{1,253}$/;

/** Half of the connections that a client opens: on a slow service a notice does not wait behind nine facts. */
const maxAtOnce = 2;

/**
 * Reads the named facts, each by itself: one that makes no sense is missing, and no other one with it. Where nothing is answered at all the
 * reading ends with the first failure, because the others would only wait in vain as well. Rejects with the signal's reason.
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
  // One that hangs shall not keep the others from being asked for next time.
  return { facts, missing: [...waiting, ...failed], problems };
}

async function readFact(metadata: MetadataClient, path: string, signal?: AbortSignal): Promise<string | undefined> {
  const answer = await metadata.get(`/latest/meta-data/${path}`, signal);
  // Instances without a public address answer 404, some mocks an empty body.
  const text = answer.kind === 'found' ? answer.body.trim() : '';
  if (text === '') return undefined;
  if (!fact.test(text))
    throw new MetadataError('garbage', `Cannot read instance metadata ${path}: the answer is no name or address`);
  return text;
}
