import { createHash } from 'node:crypto';
import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { errorText } from '../../shared/log.ts';
import { type BlobSource, unreadable } from './read-manifest.ts';
import type { RegistryReference } from './registry-reference.ts';

export interface RegistryOptions {
  /** `USER:PASSWORD`; anonymous without. */
  readonly credentials: string | undefined;
  readonly signal: AbortSignal;
}

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const requestMs = 15_000;
const maxDocumentBytes = 4 * 1024 * 1024;

/** An image in a registry, by the pull half of its HTTP API, version 2. Reads a few documents and no layer. */
export function openRegistry(name: string, where: RegistryReference, options: RegistryOptions): BlobSource {
  const { origin, repository, reference } = where;
  const session = new Session(name, where, options);
  const base = `${origin}/v2/${repository}`;
  const manifest = (of: string) => session.document(`${base}/manifests/${of}`, of);
  return {
    name,
    top: () => manifest(reference),
    document: ({ digest, mediaType }) =>
      manifestTypes.includes(mediaType) ? manifest(digest) : session.document(`${base}/blobs/${digest}`, digest),
  };
}

class Session {
  readonly #name: string;
  readonly #where: RegistryReference;
  readonly #options: RegistryOptions;
  #authorization: string | undefined;

  constructor(name: string, where: RegistryReference, options: RegistryOptions) {
    this.#name = name;
    this.#where = where;
    this.#options = options;
  }

  /** The JSON there; where it is asked for by digest, of exactly that digest. */
  async document(url: string, reference: string): Promise<unknown> {
    const headers = { accept: [...manifestTypes, '*/*'].join(', ') };
    let response = await this.#get(url, headers);
    const challenge = response.headers.get('www-authenticate');
    if (response.status === 401 && challenge !== null && this.#authorization === undefined) {
      await response.body?.cancel();
      this.#authorization = await this.#answer(challenge);
      response = await this.#get(url, headers);
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw this.#refusal(response.status, url);
    }
    const bytes = await this.#read(response);
    const [algorithm = '', hex] = reference.split(':');
    if (hex !== undefined && createHash(algorithm).update(bytes).digest('hex') !== hex)
      throw unreadable({ name: this.#name }, `the registry sent something else than ${reference}`);
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch (error) {
      throw unreadable({ name: this.#name }, `${new URL(url).pathname} is no JSON`, error);
    }
  }

  /** `Basic`, or `Bearer` with a token from the place that the challenge names. */
  async #answer(challenge: string): Promise<string> {
    const { credentials } = this.#options;
    const basic = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`;
    if (/^basic/i.test(challenge)) return basic ?? '';
    const fields = Object.fromEntries(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
    );
    const realm = fields['realm'];
    if (realm === undefined || !URL.canParse(realm)) throw this.#refusal(401, this.#where.origin);
    const url = new URL(realm);
    // Only the registry itself may say where our password goes, and never in the clear to another host.
    const isSafe = url.protocol === 'https:' || url.hostname === new URL(this.#where.origin).hostname;
    if (fields['service'] !== undefined) url.searchParams.set('service', fields['service']);
    url.searchParams.set('scope', `repository:${this.#where.repository}:pull`);
    const response = await this.#fetch(url.href, isSafe && basic !== undefined ? { authorization: basic } : {});
    if (!response.ok) {
      await response.body?.cancel();
      throw this.#refusal(response.status, url.origin);
    }
    const body = JSON.parse((await this.#read(response)).toString('utf8')) as Record<string, unknown>;
    return `Bearer ${String(body['token'] ?? body['access_token'] ?? '')}`;
  }

  #get(url: string, headers: Record<string, string>): Promise<Response> {
    const authorization = this.#authorization;
    // fetch takes the header off again where a redirect leads to another host, as blobs' do.
    return this.#fetch(url, { ...headers, ...(authorization && { authorization }) });
  }

  async #fetch(url: string, headers: Record<string, string>): Promise<Response> {
    const signal = AbortSignal.any([this.#options.signal, AbortSignal.timeout(requestMs)]);
    try {
      return await fetch(url, { headers, signal });
    } catch (error) {
      throw new FatalError(`Cannot reach registry ${new URL(url).origin}: ${errorText(error)}`, {
        status: exitStatus.unavailable,
        cause: error,
      });
    }
  }

  async #read(response: Response): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk as Uint8Array);
      length += (chunk as Uint8Array).length;
      if (length > maxDocumentBytes) throw unreadable({ name: this.#name }, 'a document of it is too long');
    }
    return Buffer.concat(chunks);
  }

  #refusal(status: number, url: string): FatalError {
    const codes: Readonly<Record<number, number>> = {
      401: exitStatus.noPermission,
      403: exitStatus.noPermission,
      404: exitStatus.noInput,
    };
    return new FatalError(`Cannot read image ${this.#name}: HTTP ${status} from ${new URL(url).host}`, {
      status: codes[status] ?? exitStatus.unavailable,
    });
  }
}
