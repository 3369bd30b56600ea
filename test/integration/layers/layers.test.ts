import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type Blob, imageOf, indexOf, type OciImage, writeLayout } from './oci-image.ts';

const program = join(import.meta.dirname, '../../../build/layers/main.ts');

interface Report {
  readonly ok: boolean;
  readonly bytes: number;
  readonly moved_bytes: number;
  readonly moved_ratio: number;
  readonly layers: readonly { readonly fate: string; readonly step: string; readonly bytes: number }[];
}

interface Run {
  readonly status: number;
  readonly lines: readonly string[];
  readonly complaint: string;
  readonly report: Report;
}

async function layers(...args: readonly string[]): Promise<Run> {
  const ran = await promisify(execFile)(process.execPath, [program, ...args], { timeout: 30_000 }).then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ status: code, stdout, stderr }),
  );
  const lines = ran.stdout.trim().split('\n');
  const last = lines.at(-1) ?? '';
  return {
    status: ran.status,
    lines,
    complaint: ran.stderr,
    report: JSON.parse(last.startsWith('{') ? last : '{}') as Report,
  };
}

/** A thousandth of a game of 3.1 GB: an operating system, an engine, and 60 packs of assets. */
const packs = Array.from({ length: 60 }, (_, at) => [`COPY assets/${at}`, randomBytes(50_000)] as const);
const parts = { 'ADD os': randomBytes(60_000), 'COPY engine': randomBytes(40_000), ...Object.fromEntries(packs) };
const older = imageOf(parts);
const newer = imageOf({ ...parts, 'COPY assets/30': randomBytes(50_000) });
const forArm = imageOf({ ...parts, 'COPY engine': randomBytes(40_000) }, 'arm64');

let folder = '';
const at = (name: string) => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spotable-layers-'));
  await writeLayout(at('old'), [older]);
  await writeLayout(at('new'), [newer]);
  await writeLayout(at('tags'), [older, newer], ['v1', 'v2']);
  await writeLayout(at('platforms'), [newer, forArm]);
  await promisify(execFile)('tar', ['cf', at('new.tar'), '-C', at('new'), '.']);
});
after(() => rm(folder, { recursive: true, force: true }));

describe('npm run layers', { concurrency: 4 }, () => {
  test('one changed pack of assets moves itself alone: under 1.7 % of the image', async () => {
    const { status, report, lines } = await layers(at('old'), at('new'), '--max-moved', '1.7%');
    assert.equal(status, 0);
    assert.deepEqual(
      report.layers.filter(({ fate }) => fate === 'moved').map(({ step }) => step),
      ['COPY assets/30'],
    );
    assert.equal(report.moved_bytes, 50_000);
    assert.equal(report.bytes, 3_100_000);
    assert.ok(report.ok && report.moved_ratio < 0.017);
    assert.equal(lines.filter((line) => line.startsWith('reused')).length, 61);
    assert.match(lines.at(-2) ?? '', /^moved 50\.0 kB of 3\.1 MB: 1\.61 %$/);
  });

  test('more than the limit is a failure of its own', async () => {
    const { status, report } = await layers('--max-moved=1.6%', at('old'), at('new'));
    assert.equal(status, 1);
    assert.equal(report.ok, false);
  });

  test('an archive is read as the folder that it was made from', async () => {
    const { status, report } = await layers(at('new.tar'), '--max-moved', '0%', at('new'));
    assert.equal(status, 0);
    assert.equal(report.moved_bytes, 0);
  });

  test('a tag chooses among the images of a layout', async () => {
    assert.equal((await layers(`${at('tags')}:v1`, `${at('tags')}:v2`)).report.moved_bytes, 50_000);
    const { status, complaint } = await layers(`${at('tags')}:v1`, `${at('tags')}:v3`);
    assert.equal(status, 65);
    assert.match(complaint, /it has no tag v3/);
  });

  test('a platform chooses among the images of an index', async () => {
    assert.equal((await layers(at('new'), at('platforms'))).report.moved_bytes, 0);
    assert.equal((await layers(at('old'), at('platforms'), '--platform', 'linux/arm64')).report.moved_bytes, 40_000);
    const { status, complaint } = await layers(at('old'), at('platforms'), '--platform', 'linux/riscv64');
    assert.equal(status, 65);
    assert.match(complaint, /none of them for linux\/riscv64/);
  });

  test('what is wrong is one line and a status that says what kind', async () => {
    await writeFile(at('text'), 'no image');
    await writeLayout(at('broken'), [older]);
    await writeFile(join(at('broken'), 'index.json'), '{"manifests":[{"digest":"sha256:../../etc/passwd","size":1}]}');
    const cases: readonly (readonly [number, RegExp, readonly string[]])[] = [
      [64, /expected two images/, [at('old')]],
      [64, /expected two images/, [at('old'), at('new'), at('new')]],
      [64, /--max-moved/, [at('old'), at('new'), '--max-moved', '5']],
      [64, /--platform/, [at('old'), at('new'), '--platform', 'arm']],
      [65, /no tar archive/, [at('old'), at('text')]],
      [65, /a descriptor has no digest/, [at('old'), at('broken')]],
      [66, /ENOENT/, [at('old'), at('nowhere')]],
      [69, /Cannot reach registry http:\/\/127\.0\.0\.1/, [at('old'), `127.0.0.1:${await closedPort()}/arena:1`]],
    ];
    for (const [status, complaint, args] of cases) {
      const ran = await layers(...args);
      assert.equal(ran.status, status, `${args}: ${ran.complaint}`);
      assert.match(ran.complaint, complaint);
      assert.equal(ran.complaint.trim().split('\n').length, 1);
    }
  });
});

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('npm run layers with a registry', () => {
  const servers: Server[] = [];
  const index = indexOf([newer, forArm]);
  after(() => {
    for (const server of servers) server.close();
  });

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** The documents of both images, and none of their layers. */
  function documents(path: string): Blob | undefined {
    const images: Readonly<Record<string, OciImage>> = { old: older };
    const reference = path.split('/').at(-1) ?? '';
    if (reference === 'new') return index;
    const digest = images[reference]?.descriptor.digest ?? reference;
    return [older, newer, forArm]
      .flatMap(({ blobs }) => blobs)
      .find((blob) => blob.digest === digest && blob.bytes.length < 20_000);
  }

  const answer: RequestListener = ({ url = '' }, response) => {
    const document = /^\/v2\/games\/arena\/(manifests|blobs)\//.test(url) ? documents(url) : undefined;
    if (document === undefined) response.writeHead(404).end();
    else response.writeHead(200).end(document.bytes);
  };

  test('images are compared by their documents alone, through an index of platforms', async () => {
    const host = await serve(answer);
    const { status, report, complaint } = await layers(
      `${host}/games/arena:old`,
      `${host}/games/arena:new`,
      '--max-moved',
      '1.7%',
    );
    assert.equal(status, 0, complaint);
    assert.equal(report.moved_bytes, 50_000);
  });

  test('a token is fetched where the registry asks for one, with the password where there is one', async () => {
    const seen: string[] = [];
    const host = await serve((request, response) => {
      const { authorization = 'none' } = request.headers;
      if (request.url?.startsWith('/token?') === true) {
        seen.push(`${request.url} ${authorization}`);
        response.end(JSON.stringify({ token: 'T' }));
      } else if (authorization === 'Bearer T') answer(request, response);
      else {
        const realm = `Bearer realm="http://${host}/token",service="registry"`;
        response.writeHead(401, { 'www-authenticate': realm }).end();
      }
    });
    const basic = `Basic ${Buffer.from('user:secret').toString('base64')}`;
    const ran = await layers(`${host}/games/arena:old`, `${host}/games/arena:new`, '--credentials', 'user:secret');
    assert.equal(ran.status, 0, ran.complaint);
    assert.equal(seen[0], `/token?service=registry&scope=repository%3Agames%2Farena%3Apull ${basic}`);
    await layers(`${host}/games/arena:old`, `${host}/games/arena:new`);
    assert.match(seen.at(-1) ?? '', / none$/);
  });

  test('a password goes in the clear to no other host than the registry itself', async () => {
    const seen: string[] = [];
    const thief = await serve((request, response) => {
      seen.push(request.headers.authorization ?? 'none');
      response.end(JSON.stringify({ token: 'T' }));
    });
    const host = await serve((_, response) => {
      const realm = `Bearer realm="http://${thief.replace('127.0.0.1', 'localhost')}/token"`;
      response.writeHead(401, { 'www-authenticate': realm }).end();
    });
    const ran = await layers(`${host}/games/arena:old`, `${host}/games/arena:new`, '--credentials', 'user:secret');
    assert.equal(ran.status, 77);
    assert.deepEqual(seen, ['none']);
  });

  test('a document that is not the one asked for is refused', async () => {
    const host = await serve(({ url = '' }, response) => {
      const isByDigest = url.includes('sha256:');
      response.end(isByDigest ? JSON.stringify({ layers: [] }) : index.bytes);
    });
    const { status, complaint } = await layers(`${host}/games/arena:new`, `${host}/games/arena:new`);
    assert.equal(status, 65);
    assert.match(complaint, /the registry sent something else than sha256:/);
  });

  test('an image that is not there, or not for us, has a status of its own', async () => {
    const host = await serve(answer);
    assert.equal((await layers(`${host}/games/other:1`, `${host}/games/arena:new`)).status, 66);
    const closed = await serve((_, response) => response.writeHead(403).end());
    assert.equal((await layers(`${closed}/games/arena:1`, `${host}/games/arena:new`)).status, 77);
  });
});
