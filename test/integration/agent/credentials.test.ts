import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { findCredentials } from '../../../shared/kubernetes/find-credentials.ts';
import { KubeError } from '../../../shared/kubernetes/kube-answer.ts';
import { KubeConnection } from '../../../shared/kubernetes/kube-connection.ts';
import { ServiceAccount } from '../../../shared/kubernetes/service-account.ts';
import { testCertificate, testKey } from './scene/test-certificate.ts';

/** A pod's mounted credentials, and an API server that wants them. */
async function pod() {
  const directory = await mkdtemp(join(tmpdir(), 'service-account-'));
  const tokens: (string | undefined)[] = [];
  let connections = 0;
  const server = createServer(
    { key: testKey, cert: testCertificate },
    (request: IncomingMessage, response: ServerResponse) => {
      tokens.push(request.headers.authorization);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"kind":"Status"}');
    },
  );
  server.on('secureConnection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const write = async (token: string, ca = testCertificate) => {
    await writeFile(join(directory, 'token'), `${token}\n`);
    await writeFile(join(directory, 'ca.crt'), ca);
  };
  await write('first');
  return {
    directory,
    tokens,
    write,
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    port: String((server.address() as AddressInfo).port),
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const request = { method: 'GET', path: '/version', signal: new AbortController().signal } as const;

describe('the service account of a pod', () => {
  test('is found where the surroundings name an API server and no kubeconfig', async () => {
    await using mounted = await pod();
    const credentials = await findCredentials({
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: mounted.port,
      SERVICE_ACCOUNT_DIR: mounted.directory,
    });
    const connection = new KubeConnection(credentials);
    assert.equal((await connection.request(request)).status, 200);
    assert.deepEqual(mounted.tokens, ['Bearer first']);
    connection.close();
  });

  test('writes an IPv6 address as a URL needs it', async () => {
    await using mounted = await pod();
    const credentials = await findCredentials({
      KUBERNETES_SERVICE_HOST: 'fd00::1',
      SERVICE_ACCOUNT_DIR: mounted.directory,
    });
    assert.equal(credentials.server, 'https://[fd00::1]:443');
  });

  test('uses a renewed token within a minute, over the same connection', async () => {
    await using mounted = await pod();
    let nowMs = 0;
    const connection = new KubeConnection(new ServiceAccount(mounted.url, mounted.directory, () => nowMs));
    for (let call = 0; call < 20; call++) await connection.request(request);
    await mounted.write('second');
    nowMs = 59_999;
    await connection.request(request);
    nowMs = 60_000;
    await connection.request(request);
    assert.deepEqual([...new Set(mounted.tokens)], ['Bearer first', 'Bearer second']);
    assert.equal(mounted.tokens.indexOf('Bearer second'), 21);
    assert.ok(mounted.connections() <= 2, `${mounted.connections()} connections`);
    connection.close();
  });

  test('goes on with the token it has while the files cannot be read', async () => {
    await using mounted = await pod();
    let nowMs = 0;
    const connection = new KubeConnection(new ServiceAccount(mounted.url, mounted.directory, () => nowMs));
    await connection.request(request);
    await rm(join(mounted.directory, 'token'));
    nowMs = 120_000;
    assert.equal((await connection.request(request)).status, 200);
    connection.close();
  });

  test('talks to nobody whose certificate its authority did not sign', async () => {
    await using mounted = await pod();
    await mounted.write('first', otherAuthority);
    const connection = new KubeConnection(new ServiceAccount(mounted.url, mounted.directory));
    await assert.rejects(
      connection.request(request),
      (error) => error instanceof KubeError && error.status === undefined,
    );
    assert.deepEqual(mounted.tokens, [], 'the token was shown to nobody');
    connection.close();
  });
});

/** Another certificate than the server's; any will do. */
const otherAuthority = `-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIUPDbs8irVgc25SdFAim9zWh11xkcwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwIBcNMjYxMTIyMTUzMTM3WhgPMjEyNjEwMjkxNTMx
MzdaMBAxDjAMBgNVBAMMBW90aGVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
fkzP53oFO0f5emgdG57fNLA1tRLABYZ4B18yVkmqr6X4A/OAMbfQek28UrhBdVG5
rN46EPY+U/+DvQRVyGDEIqNTMFEwHQYDVR0OBBYEFAMtXUAPq2NsH1gc3T2mFu2b
0vjVMB8GA1UdIwQYMBaAFAMtXUAPq2NsH1gc3T2mFu2b0vjVMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgO2LFJ/tswnOslo+DXL/PxZGG9YzOL8Zc
V7XxNFfO+q4CIQDzik1GnR+DhaP7pMAjJpwVg8zmeHqgHyc8mk8sOKqrtA==
-----END CERTIFICATE-----
`;
