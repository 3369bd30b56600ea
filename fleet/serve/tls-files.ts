import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';

export interface TlsPlaces {
  /** Holds `tls.crt` and `tls.key`. */
  readonly tlsDirectory: string;
  /**
   * Clients' certificates must be signed by a `.crt` or `.pem` of this folder. undefined: clients need no certificate.
   */
  readonly clientCaDirectory: string | undefined;
}

export interface TlsMaterial extends SecureContextOptions {
  /** Changes with the files. */
  readonly digest: string;
}

/**
 * Reads a TLS server's files in the layout of Agones' allocator (secrets `allocator-tls` and `allocator-client-ca`,
 * mounted). Undefined without a certificate; rejects if there is one but another file is missing.
 */
export async function readTlsFiles({ tlsDirectory, clientCaDirectory }: TlsPlaces): Promise<TlsMaterial | undefined> {
  const cert = await readFile(join(tlsDirectory, 'tls.crt')).catch(() => undefined);
  if (cert === undefined) return undefined;
  const key = await readFile(join(tlsDirectory, 'tls.key'));
  const ca = clientCaDirectory === undefined ? undefined : await readAuthorities(clientCaDirectory);
  const hash = createHash('sha256').update(cert).update(key);
  for (const authority of ca ?? []) hash.update(authority);
  return { cert, key, ...(ca && { ca }), minVersion: 'TLSv1.2', digest: hash.digest('hex') };
}

async function readAuthorities(directory: string): Promise<Buffer[]> {
  const files = (await readdir(directory)).filter((file) => /\.(crt|pem)$/.test(file)).sort();
  if (files.length === 0) throw new Error(`Cannot find a client authority in ${directory}: expected *.crt or *.pem`);
  return Promise.all(files.map((file) => readFile(join(directory, file))));
}
