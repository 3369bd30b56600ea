import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { KubeletEvent } from '../../../../sandbox/kubelet/kubelet-event.ts';
import { kubeconfigOf } from '../../../../sandbox/kubernetes/kubeconfig.ts';
import { startFaultProxy } from '../../../support/fault-proxy.ts';
import { testCertificates } from '../../../support/test-certificates.ts';
import { describePod, EventLog, findByArgument, getPod, isAlive, podsPath, startScene, until } from './cluster.ts';

const main = fileURLToPath(new URL('../../../../sandbox/kubelet/main.ts', import.meta.url));
const idle = 'while :; do sleep 0.05; done';

interface KubeletProcess {
  child: ChildProcessByStdio<Writable, Readable, Readable>;
  events: EventLog;
  stderr(): string;
  /** Exit code, or the signal's name; throws after 30 s. */
  ended(): Promise<number | NodeJS.Signals>;
  [Symbol.asyncDispose](): Promise<void>;
}

function startProcess(...flags: string[]): KubeletProcess {
  const child = spawn(process.execPath, [main, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
  const events = new EventLog();
  createInterface({ input: child.stdout }).on('line', (line) => events.tell(JSON.parse(line) as KubeletEvent));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  let end: number | NodeJS.Signals | undefined;
  child.once('close', (code, signal) => {
    end = code ?? signal ?? undefined;
  });
  const ended = (): Promise<number | NodeJS.Signals> => until('the end of the kubelet', () => end);
  return {
    child,
    events,
    stderr: () => stderr,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGUSR2');
      await ended().finally(() => child.kill('SIGKILL'));
    },
  };
}

/**
 * A stubborn main process with a stubborn child in a session of its own, found by an argument that no other test has.
 */
function stubbornPod(name: string, word: string): object {
  const deaf = `trap "" TERM INT HUP; ${idle}`;
  const script = `setsid sh -c '${deaf}' ${word} & trap "" TERM; echo up; ${idle}`;
  return describePod(name, '', { container: { command: ['sh', '-c', script, word] } });
}

describe('the kubelet as a process', { concurrency: 4 }, () => {
  test('runs pods of a server that it reaches over TLS, and ends them as late as a real kubelet', async () => {
    await using scene = await startScene();
    await using proxy = await startFaultProxy({ target: new URL(scene.api.url), offersHttp2: true });
    const kubeconfig = join(scene.root, 'kubeconfig');
    await writeFile(kubeconfig, kubeconfigOf(proxy.url, { ca: testCertificates.first.cert }));
    const root = join(scene.root, 'kubelet');
    const flags = ['--kubeconfig', kubeconfig, '--node', 'n1', '--root', root, '--pod-end-delay', '400ms..500ms'];
    await using kubelet = startProcess(...flags);
    await kubelet.events.next('node-registered');
    await scene.kube.create(podsPath, describePod('gs', `trap "exit 0" TERM; echo up; ${idle}`));
    await kubelet.events.line('gs', 'up');
    await scene.kube.remove(`${podsPath}/gs`);
    const exited = await kubelet.events.next('container-exited');
    await until('the end of the pod', async () => ((await getPod(scene.kube, 'gs')) === undefined ? true : undefined));
    assert.ok(performance.now() - exited.atMs >= 390, 'the pod is there longer than its container');
    assert.deepEqual([...new Set(proxy.requests.map(({ httpVersion }) => httpVersion))], ['1.1']);
  });

  test('SIGTERM ends stubborn pods within their 2 s, exit 0, and leaves no process', async () => {
    const word = randomUUID();
    await using scene = await startScene();
    await using kubelet = startProcess('--server', scene.api.url, '--node', 'n1', '--root', scene.root);
    await scene.kube.create(podsPath, stubbornPod('gs', word));
    await kubelet.events.line('gs', 'up');
    await until('both', async () => (await findByArgument(word)).length === 2 || undefined);
    const begunAtMs = performance.now();
    kubelet.child.kill('SIGTERM');
    kubelet.child.kill('SIGINT');
    assert.equal(await kubelet.ended(), 0);
    const tookMs = performance.now() - begunAtMs;
    assert.ok(tookMs >= 1_900 && tookMs < 10_000, `${tookMs} ms`);
    assert.deepEqual(await findByArgument(word), []);
    assert.equal(kubelet.events.all.at(-1)?.event, 'kubelet-ended');
  });

  test('SIGUSR2 is the loss of the instance: all dead at once, exit 137, not a word to the API server', async () => {
    const word = randomUUID();
    await using scene = await startScene();
    await using kubelet = startProcess('--server', scene.api.url, '--node', 'n1', '--root', scene.root);
    await scene.kube.create(podsPath, stubbornPod('gs', word));
    await kubelet.events.line('gs', 'up');
    await until('Running', async () =>
      (await getPod(scene.kube, 'gs'))?.status?.phase === 'Running' ? true : undefined,
    );
    const writes = (): number => scene.api.requests.filter(({ method }) => method !== 'GET').length;
    const before = writes();
    const begunAtMs = performance.now();
    kubelet.child.kill('SIGUSR2');
    assert.equal(await kubelet.ended(), 137);
    assert.ok(performance.now() - begunAtMs < 1_900, 'no grace');
    assert.deepEqual(await findByArgument(word), []);
    assert.equal(writes(), before);
    const pod = await getPod(scene.kube, 'gs');
    assert.deepEqual([pod?.status?.phase, pod?.metadata.deletionTimestamp], ['Running', undefined]);
  });

  test('an instance can be lost while its pods are being ended', async () => {
    const word = randomUUID();
    await using scene = await startScene();
    await using kubelet = startProcess('--server', scene.api.url, '--node', 'n1', '--root', scene.root);
    await scene.kube.create(podsPath, stubbornPod('gs', word));
    await kubelet.events.line('gs', 'up');
    kubelet.child.kill('SIGTERM');
    await kubelet.events.next('container-signalled', 'gs');
    kubelet.child.kill('SIGUSR2');
    assert.equal(await kubelet.ended(), 137);
    assert.deepEqual(await findByArgument(word), []);
  });

  test('with --exit-with-parent a closed stdin is the loss of the instance', async () => {
    const word = randomUUID();
    await using scene = await startScene();
    const flags = ['--server', scene.api.url, '--node', 'n1', '--root', scene.root, '--exit-with-parent'];
    await using kubelet = startProcess(...flags);
    await scene.kube.create(podsPath, stubbornPod('gs', word));
    await kubelet.events.line('gs', 'up');
    kubelet.child.stdin.end();
    assert.equal(await kubelet.ended(), 137);
    assert.deepEqual(await findByArgument(word), []);
  });

  test('after a kill -9 the next one on the same root ends what was left, and the pod lives again', async () => {
    const word = randomUUID();
    await using scene = await startScene();
    const flags = ['--server', scene.api.url, '--node', 'n1', '--root', scene.root];
    await using first = startProcess(...flags);
    await scene.kube.create(podsPath, stubbornPod('gs', word));
    await first.events.line('gs', 'up');
    const left = await until('both', async () => {
      const found = await findByArgument(word);
      return found.length === 2 ? found : undefined;
    });
    await until('Running', async () =>
      (await getPod(scene.kube, 'gs'))?.status?.phase === 'Running' ? true : undefined,
    );
    first.child.kill('SIGKILL');
    assert.equal(await first.ended(), 'SIGKILL');
    for (const pid of left) assert.equal(await isAlive(pid), true, 'a killed kubelet leaves its pods');
    await using second = startProcess(...flags);
    assert.ok((await second.events.next('kubelet-started')).leftoversKilled >= 2);
    for (const pid of left) assert.equal(await isAlive(pid), false);
    assert.equal((await second.events.next('container-started', 'gs')).restartCount, 1);
    const status = await until('the restart in the status', async () => {
      const [container] = (await getPod(scene.kube, 'gs'))?.status?.containerStatuses ?? [];
      return container?.restartCount === 1 ? container : undefined;
    });
    const { exitCode, reason } = status.lastState.terminated ?? {};
    assert.deepEqual([exitCode, reason], [137, 'ContainerStatusUnknown']);
  });

  test('a second kubelet on the same root is refused with one line and leaves the first alone', async () => {
    await using scene = await startScene();
    const flags = ['--server', scene.api.url, '--node', 'n1', '--root', scene.root];
    await using first = startProcess(...flags);
    await first.events.next('kubelet-started');
    await using second = startProcess(...flags);
    assert.equal(await second.ended(), 69);
    assert.equal(second.stderr(), `kubelet: Cannot use root ${scene.root}: another kubelet runs on it\n`);
    assert.equal(first.child.exitCode, null);
  });

  test('a wrong command line is one line on stderr and exit 64', async () => {
    for (const flags of [['--nope'], ['--server', 'x', '--node', 'n1'], ['--server', 'http://127.0.0.1:1']]) {
      await using kubelet = startProcess(...flags);
      assert.equal(await kubelet.ended(), 64, flags.join(' '));
      assert.match(kubelet.stderr(), /^kubelet: .+\n$/);
    }
  });

  test('two kubelets of one machine share an API server, each with its own pods', async () => {
    await using scene = await startScene();
    await using first = startProcess(
      '--server',
      scene.api.url,
      '--node',
      'n1',
      '--root',
      `${scene.root}/1`,
      '--label',
      'a=1',
    );
    await using second = startProcess('--server', scene.api.url, '--node', 'n2', '--root', `${scene.root}/2`);
    await scene.kube.create(podsPath, describePod('one', `echo up; ${idle}`));
    await scene.kube.create(podsPath, describePod('two', `echo up; ${idle}`, { spec: { nodeName: 'n2' } }));
    await first.events.line('one', 'up');
    await second.events.line('two', 'up');
    first.child.kill('SIGUSR2');
    await first.ended();
    const [started] = second.events.of('container-started', 'two');
    assert.equal(await isAlive(started?.pid ?? 0), true);
    assert.deepEqual(second.events.of('pod-seen', 'one'), []);
  });
});
