import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ask, read, takeToken } from './metadata-ask.ts';

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function launch(t: TestContext, program: string, args: string[]): ChildProcessWithoutNullStreams {
  const path = fileURLToPath(new URL(`../../../sandbox/${program}/main.ts`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args]);
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function ended(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const exit = once(child, 'close', { signal: AbortSignal.timeout(20_000) });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await exit;
  return { code: child.exitCode, stdout, stderr };
}

/** The URL in the one line that a started program writes. */
async function urlOf(child: ChildProcessWithoutNullStreams): Promise<string> {
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(20_000) })) as [string];
  return /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0] ?? assert.fail(`no URL in ${line}`);
}

for (const program of ['metadata', 'sqs']) {
  describe(`sandbox/${program}/main.ts`, () => {
    it('explains itself with --help', async (t) => {
      const { code, stdout, stderr } = await ended(launch(t, program, ['--help']));
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, new RegExp(`^Usage: node sandbox/${program}/main.ts`));
    });

    for (const args of [['--colour', 'red'], ['--port', '65536'], ['serve']]) {
      it(`refuses ${args.join(' ')} with one line and status 64`, async (t) => {
        const { code, stdout, stderr } = await ended(launch(t, program, args));
        assert.deepEqual([code, stdout], [64, '']);
        assert.match(stderr, /^[^\n]+ \(see --help\)\n$/);
        assert.ok(stderr.includes(args.at(-1) ?? '') || stderr.includes(args[0] ?? ''), stderr);
      });
    }

    it('says that its port is taken with one line and status 69', async (t) => {
      const other = createServer().listen(0, '127.0.0.1');
      t.after(() => other.close());
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      const { code, stdout, stderr } = await ended(launch(t, program, ['--port', String(port)]));
      assert.deepEqual([code, stdout], [69, '']);
      assert.match(
        stderr,
        new RegExp(`^Cannot start [^\\n]* on 127\\.0\\.0\\.1:${port}: [^\\n]*EADDRINUSE[^\\n]*\\n$`),
      );
    });

    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      it(`ends with status 0 on ${signal}, though a request hangs and another waits an hour`, async (t) => {
        // Standard input stays open: having listened to it must not keep the program alive.
        const child = launch(t, program, ['--exit-with-parent']);
        const url = await urlOf(child);
        for (const fault of ['{"kind":"hang"}', '{"kind":"delay","delayMs":3600000}']) {
          await ask(`${url}/sandbox/faults`, { method: 'POST', body: `{"fault":${fault},"times":1}` });
        }
        const broken = Promise.all([1, 2].map(() => assert.rejects(ask(url), { code: 'ECONNRESET' })));
        for (const giveUpMs = Date.now() + 10_000; (await ask(`${url}/sandbox/faults`)).body !== '[]\n'; ) {
          assert.ok(Date.now() < giveUpMs, 'the requests have not met their faults');
        }
        child.kill(signal);
        const { code, stderr } = await ended(child);
        assert.deepEqual([code, stderr], [0, '']);
        await broken;
      });
    }

    it('ends when standard input closes, if it was told to end with its parent', async (t) => {
      const child = launch(t, program, ['--exit-with-parent']);
      await urlOf(child);
      child.stdin.end();
      assert.equal((await ended(child)).code, 0);
    });
  });
}

describe('sandbox/metadata/main.ts', () => {
  it('describes the instance of its flags and announces the notice when it is due', async (t) => {
    const args = '--instance-id i-0bbb --zone us-east-1b --public-ip 203.0.113.7 --notice-in 50ms --notice 30s';
    const url = await urlOf(launch(t, 'metadata', [...args.split(' '), '--action', 'stop']));
    const token = await takeToken(url);
    assert.equal((await read(url, token, 'meta-data/instance-id')).body, 'i-0bbb');
    const hostname = await read(url, token, 'meta-data/public-hostname');
    assert.equal(hostname.body, 'ec2-203-0-113-7.compute-1.amazonaws.com');
    let notice = await read(url, token, 'meta-data/spot/instance-action');
    for (const giveUpMs = Date.now() + 10_000; notice.status !== 200; ) {
      assert.ok(Date.now() < giveUpMs, 'no notice was announced');
      notice = await read(url, token, 'meta-data/spot/instance-action');
    }
    const { action, time } = JSON.parse(notice.body) as { action: string; time: string };
    assert.equal(action, 'stop');
    const leftMs = Date.parse(time) - Date.now();
    assert.ok(leftMs > 15_000 && leftMs <= 30_000, `${leftMs} ms are left`);
  });
});

describe('sandbox/sqs/main.ts', () => {
  it('refuses a name that no queue can have', async (t) => {
    const { code, stderr } = await ended(launch(t, 'sqs', ['--queue', 'good', '--queue', 'a/b']));
    assert.equal(code, 64);
    assert.match(stderr, /^Bad --queue "a\/b": [^\n]+\n$/);
  });
});
