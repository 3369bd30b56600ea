/** Where an image is in a registry. */
export interface RegistryReference {
  /** Without a path, such as `https://ghcr.io`. */
  readonly origin: string;
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
}

/** What stands for Docker Hub in a reference is not the host that answers for it. */
const dockerHub = 'registry-1.docker.io';
const form =
  /^(?:(https?):\/\/)?(localhost|[a-z0-9.-]+\.[a-z0-9.-]+|[a-z0-9.-]+(?=:\d)|\[[0-9a-f:]+\])(:\d{1,5})?\/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/;

/**
 * Reads `[http://]HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`; undefined where it is none. The host has to be named: a bare name may as well
 * be a folder. Only loopback is reached without TLS unless the scheme says so.
 */
export function parseRegistryReference(text: string): RegistryReference | undefined {
  const [, scheme, host, port = '', repository, tag = 'latest', digest] = form.exec(text) ?? [];
  if (host === undefined || repository === undefined) return undefined;
  const isLoopback = host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
  const realHost = host === 'docker.io' ? dockerHub : host;
  return {
    origin: `${scheme ?? (isLoopback ? 'http' : 'https')}://${realHost}${port}`,
    repository: realHost === dockerHub && !repository.includes('/') ? `library/${repository}` : repository,
    reference: digest ?? tag,
  };
}
