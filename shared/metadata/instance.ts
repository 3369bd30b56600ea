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

const paths: { readonly [K in keyof Instance]: string } = {
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

/** Names, addresses and ids: what is none of them is an error page, and belongs in no event. */
const fact = /^[\w.:-]{1,253}$/;

/** Reads the instance's facts, all at once. Throws a MetadataError where the service does not answer, or with nonsense. */
export async function readInstance(metadata: MetadataClient, signal?: AbortSignal): Promise<Instance> {
  const entries = await Promise.all(
    Object.entries(paths).map(async ([name, path]) => [name, await readFact(metadata, path, signal)] as const),
  );
  return { ...unknownInstance, ...Object.fromEntries(entries) };
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
