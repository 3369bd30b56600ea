import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type Blob, imageOf, indexOf, writeLayout } from './oci-image.ts';

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

const layers = (...args: readonly string[]): Promise<Run> => layersIn({}, ...args);

async function layersIn(environment: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Run> {
  const options = { timeout: 60_000, env: { ...process.env, ...environment } };
  const ran = await promisify(execFile)(process.execPath, [program, ...args], options).then(
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

  test('every error is one line, with a status that tells its kind', async () => {
    await writeFile(at('text'), 'no image');
    await writeLayout(at('broken'), [older]);
    await writeFile(join(at('broken'), 'index.json'), '{"manifests":[{"digest":"sha256:../../etc/passwd","size":1}]}');
    const cases: readonly (readonly [number, RegExp, readonly string[]])[] = [
      [64, /expected two images/, [at('old')]],
      [64, /expected two images/, [at('old'), at('new'), at('new')]],
      [64, /--max-moved/, [at('old'), at('new'), '--max-moved', '5']],
      [64, /--platform/, [at('old'), at('new'), '--platform', 'arm']],
      [65, /not a tar archive/, [at('old'), at('text')]],
      [65, /a descriptor has no digest/, [at('old'), at('broken')]],
      [66, /ENOENT/, [at('old'), at('nowhere')]],
    ];
    for (const [status, complaint, args] of cases) {
      const ran = await layers(...args);
      assert.equal(ran.status, status, `${args}: ${ran.complaint}`);
      assert.match(ran.complaint, complaint);
      assert.equal(ran.complaint.trim().split('\n').length, 1);
    }
  });
});

const hasSkopeo = spawnSync('skopeo', ['--version']).status === 0;

describe('npm run layers with a registry', { skip: hasSkopeo ? false : 'skopeo is not installed' }, () => {
  const index = indexOf([newer, forArm]);
  const seen: string[] = [];
  /** Serves the documents of the images, and none of their layers. */
  const server = createServer(({ url = '' }, response) => {
    seen.push(url);
    const reference = url.split('/').at(-1) ?? '';
    const digest = reference === 'old' ? older.descriptor.digest : reference === 'new' ? index.digest : reference;
    const documents = [older, newer, forArm].flatMap(({ blobs }) => blobs).filter(({ bytes }) => bytes.length < 20_000);
    const document = [index, ...documents].find((blob) => blob.digest === digest);
    if (url === '/v2/') response.end('{}');
    else if (url.startsWith('/v2/games/closed/')) response.writeHead(403).end();
    else if (document === undefined || !url.startsWith('/v2/games/arena/')) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': typeOf(document) }).end(document.bytes);
  });
  const typeOf = ({ bytes }: Blob) =>
    (JSON.parse(bytes.toString()) as { mediaType?: string }).mediaType ?? 'application/octet-stream';
  let host = '';
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  test('images are compared by their documents alone, through an index of platforms', async () => {
    const images = [`${host}/games/arena:old`, `${host}/games/arena:new`];
    const { status, report, complaint } = await layers(...images, '--max-moved', '1.7%');
    assert.equal(status, 0, complaint);
    assert.equal(report.moved_bytes, 50_000);
    assert.equal(report.layers.find(({ fate }) => fate === 'moved')?.step, 'COPY assets/30');
    const forOther = await layers(...images, '--platform', 'linux/arm64');
    assert.equal(forOther.report.moved_bytes, 40_000, forOther.complaint);
  });

  test('an image that does not exist, or that we may not read, is an error of one line', async () => {
    for (const image of ['other:1', 'closed:1']) {
      const { status, complaint } = await layers(at('old'), `${host}/games/${image}`);
      assert.equal(status, 66, complaint);
      assert.match(complaint, new RegExp(`^layers: Cannot read image ${host}/games/${image}: .+\n$`));
    }
  });

  test('a registry that is out of reach is an error of one line', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const { status, complaint } = await layers(at('old'), `127.0.0.1:${port}/arena:1`);
    assert.equal(status, 66);
    assert.match(complaint, /connection refused\n$/);
  });
});

test('without skopeo the error says what is missing', async () => {
  const { status, complaint } = await layersIn({ PATH: '/nonexistent' }, at('old'), 'registry.example.com/arena:1');
  assert.equal(status, 69);
  assert.match(complaint, /skopeo is not installed/);
});
