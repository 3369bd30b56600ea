import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { testCertificates } from '../../support/test-certificates.ts';
import { eventually } from '../agent/scene/eventually.ts';
import { FleetScene, namespace } from './fleet-scene.ts';

const { first, second } = testCertificates;

function ask(url: string, options: RequestOptions): Promise<{ readonly status: number; readonly body: unknown }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}/gameserverallocation`,
      { method: 'POST', agent: false, ...options },
      (response) => {
        json(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
      },
    );
    outgoing.once('error', reject);
    outgoing.end(JSON.stringify({ namespace }));
  });
}

describe('TLS by files, as the secrets of Agones are mounted', () => {
  let scene: FleetScene;
  let folder: string;
  before(async () => {
    scene = await FleetScene.start();
    folder = await mkdtemp(join(tmpdir(), 'fleet-tls-'));
    for (const name of ['tls', 'client-ca', 'empty']) await mkdir(join(folder, name));
    await writeFile(join(folder, 'tls', 'tls.crt'), first.cert);
    await writeFile(join(folder, 'tls', 'tls.key'), first.key);
    await writeFile(join(folder, 'client-ca', 'one.crt'), second.cert);
  });
  after(async () => {
    await scene[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  test('a client with a certificate that a known authority signed is served, and named in the audit', async () => {
    const env = { LISTEN: '127.0.0.1:0', TLS_DIR: join(folder, 'tls'), CLIENT_CA_DIR: join(folder, 'client-ca') };
    const { url, process } = await scene.serve('fleet-a', env);
    const known = { ca: first.cert, cert: second.cert, key: second.key };
    assert.equal((await ask(url, known)).status, 429);
    assert.equal((await process.says('No game server allocated'))['client'], 'CN=spotable-test-second');
    await assert.rejects(ask(url, { ca: first.cert }));
    await assert.rejects(ask(url, { ...known, cert: first.cert, key: first.key }));
  });

  test('a renewed certificate is taken up without a restart', async () => {
    const own = join(folder, 'renewed');
    await mkdir(own);
    await writeFile(join(own, 'tls.crt'), first.cert);
    await writeFile(join(own, 'tls.key'), first.key);
    const { url } = await scene.serve('fleet-b', { TLS_DIR: own, DISABLE_MTLS: 'true' });
    assert.equal((await ask(url, { ca: first.cert })).status, 429);
    await writeFile(join(own, 'tls.crt'), second.cert);
    await writeFile(join(own, 'tls.key'), second.key);
    await eventually(
      'the new one is shown',
      async () =>
        ask(url, { ca: second.cert }).then(
          ({ status }) => status === 429,
          () => false,
        ),
      60_000,
    );
  });

  test('without a certificate it listens on loopback only, whatever address was asked for', async () => {
    const env = { LISTEN: '0.0.0.0:0', TLS_DIR: join(folder, 'empty'), CLIENT_CA_DIR: join(folder, 'empty') };
    const { process, url } = await scene.serve('fleet-c', env);
    assert.match(url, /^http:/);
    assert.equal((await process.says('Allocations are served'))['host'], '127.0.0.1');
    await process.says('No certificate: loopback only');
  });

  test('a certificate without an authority for clients is refused at the start', async () => {
    const run = await scene.run('serve', '--identity', 'a', '--tls-dir', join(folder, 'tls'));
    assert.equal(run.status, 78);
    assert.match(run.err, /CLIENT_CA_DIR/);
    const empty = await scene.run(
      'serve',
      '--identity',
      'a',
      '--tls-dir',
      join(folder, 'tls'),
      '--client-ca-dir',
      join(folder, 'empty'),
    );
    assert.equal(empty.status, 78, empty.err);
    assert.match(empty.err, /Cannot find a client authority/);
  });
});
