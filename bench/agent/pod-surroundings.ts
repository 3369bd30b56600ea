import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import type { ClusterScene } from '../../test/integration/agent/scene/cluster-scene.ts';
import { testCertificate, testKey } from '../../test/integration/agent/scene/test-certificate.ts';

/** An agent's environment in its pod: an API server behind TLS, and a service account. */
export interface PodSurroundings extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
}

export async function podSurroundings(cluster: ClusterScene): Promise<PodSurroundings> {
  const { hostname, port } = new URL(cluster.api.url);
  const sockets = new Set<Socket>();
  const front = createServer({ key: testKey, cert: testCertificate }, (outer) => {
    const inner = connect(Number(port), hostname);
    for (const socket of [outer, inner]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        outer.destroy();
        inner.destroy();
        sockets.delete(socket);
      });
    }
    outer.pipe(inner).pipe(outer);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const directory = await mkdtemp(join(tmpdir(), 'spotable-bench-account-'));
  // The scene's API server accepts requests without a token.
  await writeFile(join(directory, 'token'), '');
  await writeFile(join(directory, 'ca.crt'), testCertificate);
  return {
    env: {
      KUBECONFIG: '',
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String((front.address() as AddressInfo).port),
      SERVICE_ACCOUNT_DIR: directory,
    },
    [Symbol.asyncDispose]: async () => {
      front.close();
      for (const socket of sockets) socket.destroy();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
