import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Condition, Pod } from '../../../../sandbox/kubelet/pod/pod.ts';
import { findByArgument, isAlive, podsPath, startCluster, until } from './cluster.ts';

const parallel = { concurrency: 4 };
/** Sleeps in short pieces: a shell runs its traps between them. */
const idle = 'while :; do sleep 0.05; done';
const deaf = `trap "" TERM; echo up; ${idle}`;

/** As `Type=Status reason`, without PodScheduled, which the scheduler writes elsewhere. */
function sayConditions(conditions: readonly Condition[] = []): string[] {
  return conditions
    .filter(({ type }) => type !== 'PodScheduled')
    .map(({ type, status, reason }) => `${type}=${status}${reason === undefined ? '' : ` ${reason}`}`)
    .sort();
}

function terminatedOf(pod: Pod): { exitCode: number; reason: string } | undefined {
  const terminated = pod.status?.containerStatuses?.[0]?.state.terminated;
  return terminated === undefined ? undefined : { exitCode: terminated.exitCode, reason: terminated.reason };
}

describe('lives of pods', parallel, () => {
  test('an evicted pod that exits with 0 goes as a real one was recorded: Succeeded, grace 0, DELETED', async () => {
    await using cluster = await startCluster();
    const seen: { type: string; pod: Pod }[] = [];
    const end = new AbortController();
    const watching = (async () => {
      for await (const event of cluster.kube.watch<Pod>(podsPath, { signal: end.signal })) {
        if (event.type !== 'BOOKMARK' && event.type !== 'ERROR') seen.push({ type: event.type, pod: event.object });
      }
    })();
    await cluster.run('gs', `trap "exit 0" TERM; echo up; ${idle}`);
    await cluster.events.line('gs', 'up');
    const ready = await cluster.podWhen('gs', 'is Running', ({ status }) => status?.phase === 'Running');
    assert.deepEqual(sayConditions(ready.status?.conditions), [
      'ContainersReady=True',
      'Initialized=True',
      'PodReadyToStartContainers=True',
      'Ready=True',
    ]);
    await cluster.kube.evict('arena', 'gs', { gracePeriodSeconds: 20 });
    await cluster.events.next('pod-gone', 'gs');
    await until('DELETED', () => seen.at(-1)?.type === 'DELETED');
    end.abort();
    await watching;
    const [final, zero, gone] = seen.slice(-3);
    assert.deepEqual([final?.type, zero?.type, gone?.type], ['MODIFIED', 'MODIFIED', 'DELETED']);
    assert.deepEqual(
      [final?.pod.metadata.deletionGracePeriodSeconds, zero?.pod.metadata.deletionGracePeriodSeconds],
      [20, 0],
    );
    assert.equal(final?.pod.status?.phase, 'Succeeded');
    assert.deepEqual(final === undefined ? undefined : terminatedOf(final.pod), { exitCode: 0, reason: 'Completed' });
    assert.deepEqual(sayConditions(final?.pod.status?.conditions), [
      'ContainersReady=False PodCompleted',
      'DisruptionTarget=True EvictionByEvictionAPI',
      'Initialized=True PodCompleted',
      'PodReadyToStartContainers=False',
      'Ready=False PodCompleted',
    ]);
    const whileEnding = seen.filter(({ pod }) => pod.metadata.deletionGracePeriodSeconds === 20).slice(0, -1);
    for (const { pod } of whileEnding)
      assert.ok(sayConditions(pod.status?.conditions).includes('Ready=True'), 'Ready until it ends');
  });

  test('a deleted pod that exits with 3 ends as Failed with that code', async () => {
    await using cluster = await startCluster();
    await cluster.run('gs', `trap "exit 3" TERM; echo up; ${idle}`);
    await cluster.events.line('gs', 'up');
    const api = cluster.kube.watch<Pod>(podsPath);
    await cluster.kube.remove(`${podsPath}/gs`);
    for await (const event of api) {
      if (event.type !== 'DELETED') continue;
      assert.deepEqual(
        [event.object.status?.phase, terminatedOf(event.object)],
        ['Failed', { exitCode: 3, reason: 'Error' }],
      );
      break;
    }
    assert.equal((await cluster.events.next('container-exited', 'gs')).exitCode, 3);
  });

  test('a pod that ignores SIGTERM is killed when its grace is over and not before, with exit code 137', async () => {
    await using cluster = await startCluster();
    await cluster.run('gs', deaf);
    await cluster.events.line('gs', 'up');
    await cluster.kube.remove(`${podsPath}/gs`, { gracePeriodSeconds: 3 });
    const exited = await cluster.events.next('container-exited', 'gs');
    const signalled = await cluster.events.next('container-signalled', 'gs');
    const killed = await cluster.events.next('container-killed', 'gs');
    assert.deepEqual([exited.exitCode, exited.signal, killed.why], [137, 'SIGKILL', 'grace-over']);
    assert.ok(killed.atMs - signalled.atMs >= 2_990, `killed after ${killed.atMs - signalled.atMs} ms`);
    assert.equal((await cluster.events.next('pod-finished', 'gs')).phase, 'Failed');
    await cluster.events.next('pod-gone', 'gs');
  });

  test('a second deletion with a smaller grace brings SIGKILL forward and no second SIGTERM', async () => {
    await using cluster = await startCluster();
    await cluster.run('gs', `trap "echo term" TERM; echo up; ${idle}`);
    await cluster.events.line('gs', 'up');
    await cluster.kube.remove(`${podsPath}/gs`, { gracePeriodSeconds: 600 });
    await cluster.events.line('gs', 'term');
    await cluster.kube.remove(`${podsPath}/gs`, { gracePeriodSeconds: 2 });
    await cluster.events.next('pod-gone', 'gs');
    assert.deepEqual(
      cluster.events.of('pod-ending', 'gs').map(({ graceSeconds }) => graceSeconds),
      [600, 2],
    );
    assert.deepEqual(cluster.events.lines('gs'), ['up', 'term']);
  });

  test('a pod deleted by force is gone from the API at once and still gets SIGTERM and its own grace', async () => {
    await using cluster = await startCluster();
    await cluster.run('gs', `trap "echo ending; sleep 0.3; echo saved; exit 0" TERM; echo up; ${idle}`);
    await cluster.events.line('gs', 'up');
    await cluster.kube.remove(`${podsPath}/gs`, { gracePeriodSeconds: 0 });
    assert.equal(await cluster.pod('gs'), undefined);
    await cluster.events.next('pod-gone', 'gs');
    assert.deepEqual(cluster.events.lines('gs'), ['up', 'ending', 'saved']);
  });

  test('SIGTERM goes to the main process alone', async () => {
    await using cluster = await startCluster();
    const child = `trap "echo child-got-term" TERM; echo child-up; ${idle}`;
    await cluster.run('gs', `sh -c '${child}' & trap "sleep 0.3; exit 0" TERM; echo up; ${idle}`);
    await cluster.events.line('gs', 'child-up');
    await cluster.events.line('gs', 'up');
    await cluster.kube.remove(`${podsPath}/gs`);
    const { leftoversKilled } = await cluster.events.next('container-exited', 'gs');
    assert.ok(leftoversKilled >= 1);
    assert.ok(!cluster.events.lines('gs').includes('child-got-term'));
  });

  test('when the main process ends, everything of its container dies, whatever session or environment it has', async () => {
    await using cluster = await startCluster();
    const lives = [
      'setsid sleep 7777 & echo pid $!',
      'env -i sleep 7777 & echo pid $!',
      '(setsid sh -c "echo pid \\$\\$; sleep 7777; :" &)',
    ];
    await cluster.run('gs', `${lives.join('; ')}; echo up; read x < /dev/zero`, {
      spec: { restartPolicy: 'Never' },
      container: { command: ['sh', '-c', `${lives.join('; ')}; sleep 0.4; exit 0`] },
    });
    await until('three pids', () => cluster.events.lines('gs').length >= 3);
    const pids = cluster.events.lines('gs').map((line) => Number(line.split(' ')[1]));
    const exited = await cluster.events.next('container-exited', 'gs');
    assert.deepEqual([exited.exitCode, exited.leftoversAlive], [0, 0]);
    assert.ok(exited.leftoversKilled >= 3, `${exited.leftoversKilled} killed`);
    for (const pid of pids) assert.equal(await isAlive(pid), false, `process ${pid}`);
  });

  test('a neighbour on the same node is left alone', async () => {
    await using cluster = await startCluster();
    await cluster.run('stays', `setsid sleep 8888 & echo $!; echo up; ${idle}`);
    await cluster.run('goes', `echo up; ${idle}`);
    const pid = Number(await cluster.events.line('stays', /^\d+$/));
    await cluster.events.line('goes', 'up');
    await cluster.kube.remove(`${podsPath}/goes`, { gracePeriodSeconds: 2 });
    await cluster.events.next('pod-gone', 'goes');
    assert.equal(await isAlive(pid), true);
    assert.equal(cluster.events.of('container-exited', 'stays').length, 0);
  });

  test('a preStop hook runs before SIGTERM', async () => {
    await using cluster = await startCluster();
    const hook = 'echo hooked > $DIR/hook; sleep 0.3';
    await cluster.run('gs', `trap "cat $DIR/hook; echo term; exit 0" TERM; echo up; ${idle}`, {
      container: {
        env: [{ name: 'DIR', value: '/state' }],
        volumeMounts: [{ name: 'state', mountPath: '/state' }],
        lifecycle: { preStop: { exec: { command: ['sh', '-c', hook] } } },
      },
      spec: { volumes: [{ name: 'state', emptyDir: {} }] },
    });
    await cluster.events.line('gs', 'up');
    await cluster.kube.remove(`${podsPath}/gs`);
    await cluster.events.next('pod-gone', 'gs');
    assert.deepEqual(cluster.events.lines('gs'), ['up', 'hooked', 'term']);
    const hooked = await cluster.events.next('hook-ended', 'gs');
    assert.equal(hooked.ok, true);
    assert.ok(hooked.atMs <= (await cluster.events.next('container-signalled', 'gs')).atMs);
  });

  test('a crashing container restarts at once, then after the back-off, and its status counts', async () => {
    await using cluster = await startCluster({ restartBackoffMs: 3_000 });
    await cluster.run('gs', 'echo life; exit 7');
    const third = await until('a third life', () => cluster.events.of('container-started', 'gs')[2]);
    const [, second] = cluster.events.of('container-started', 'gs');
    const [first] = cluster.events.of('container-exited', 'gs');
    assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) < 2_900, 'the first restart does not wait');
    assert.ok(third.atMs - (second?.atMs ?? 0) >= 2_900, 'the second one does');
    const looping = await cluster.podWhen('gs', 'says CrashLoopBackOff', ({ status }) => {
      return status?.containerStatuses?.[0]?.state.waiting?.reason === 'CrashLoopBackOff';
    });
    const status = looping.status?.containerStatuses?.[0];
    assert.equal(status?.lastState.terminated?.exitCode, 7);
    assert.ok((status?.restartCount ?? 0) >= 1);
    assert.equal(looping.status?.phase, 'Running');
  });

  test('a pod that need not restart ends by itself, and a deletion then finds nothing to wait for', async () => {
    await using cluster = await startCluster();
    await cluster.run('well', 'exit 0', { spec: { restartPolicy: 'OnFailure' } });
    await cluster.run('badly', 'exit 9', { spec: { restartPolicy: 'Never' } });
    await cluster.podWhen('well', 'has Succeeded', ({ status }) => status?.phase === 'Succeeded');
    const failed = await cluster.podWhen('badly', 'has Failed', ({ status }) => status?.phase === 'Failed');
    assert.deepEqual(terminatedOf(failed), { exitCode: 9, reason: 'Error' });
    for (const name of ['well', 'badly']) {
      await cluster.kube.remove(`${podsPath}/${name}`);
      await cluster.events.next('pod-gone', name);
    }
  });

  test('a program that is missing or not executable is a StartError with exit code 128', async () => {
    await using cluster = await startCluster();
    const never = { spec: { restartPolicy: 'Never' as const } };
    await cluster.run('missing', '', { ...never, container: { command: ['no-such-game'] } });
    await cluster.run('plain', '', { ...never, container: { command: ['/etc/passwd'] } });
    await cluster.run('nowhere', '', { ...never, container: { workingDir: '/no/such/place' } });
    const read = async (name: string): Promise<unknown[]> => {
      const pod = await cluster.podWhen(name, 'has Failed', ({ status }) => status?.phase === 'Failed');
      const end = pod.status?.containerStatuses?.[0]?.state.terminated;
      return [end?.exitCode, end?.reason, end?.message];
    };
    assert.deepEqual(await read('missing'), [
      128,
      'StartError',
      'exec: "no-such-game": executable file not found in $PATH',
    ]);
    assert.deepEqual(await read('plain'), [128, 'StartError', 'exec: "/etc/passwd": permission denied']);
    assert.deepEqual(await read('nowhere'), [
      128,
      'StartError',
      'chdir to cwd ("/no/such/place") failed: no such file or directory',
    ]);
  });

  test('init containers run one after the other before the game, which waits for a failing one', async () => {
    await using cluster = await startCluster({ restartBackoffMs: 50 });
    const mounts = { volumeMounts: [{ name: 'state', mountPath: '/state' }] };
    const init = (name: string, script: string): object => ({
      name,
      image: 'demo:1',
      command: ['sh', '-c', script, 'init', '/state/order'],
      ...mounts,
    });
    const failsOnce = 'echo second >> $1; test $(grep -c second $1) -ge 2';
    await cluster.run('gs', '', {
      spec: {
        initContainers: [init('one', 'sleep 0.2; echo first >> $1'), init('two', failsOnce)] as never,
        volumes: [{ name: 'state', emptyDir: {} }],
      },
      container: { command: ['sh', '-c', 'cat $1; sleep 1000', 'game', '/state/order'], ...mounts },
    });
    await cluster.podWhen('gs', 'is Running', ({ status }) => status?.phase === 'Running');
    await until('the order', () => cluster.events.lines('gs').length >= 3);
    assert.deepEqual(cluster.events.lines('gs'), ['first', 'second', 'second']);
    assert.deepEqual(
      cluster.events.of('container-started', 'gs').map(({ container }) => container),
      ['one', 'two', 'two', 'game'],
    );
  });

  test('a container gets its environment, arguments, directories and a token of its own', async () => {
    await using cluster = await startCluster();
    await cluster.kube.create('/api/v1/namespaces/arena/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'agent', namespace: 'arena' },
    });
    const field = (fieldPath: string): object => ({ valueFrom: { fieldRef: { fieldPath } } });
    const pod = await cluster.run('gs', '', {
      spec: {
        serviceAccountName: 'agent',
        volumes: [
          { name: 'data', emptyDir: {} },
          {
            name: 'token',
            projected: {
              sources: [
                { serviceAccountToken: { path: 'token', audience: 'game-api', expirationSeconds: 600 } },
                { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
              ],
            },
          },
        ],
      },
      container: {
        command: ['sh', '-c'],
        args: [
          'echo "$NODE $NAME $APP $HOST $GREETING $UNKNOWN"; echo $0 > $1; cat $2/token; echo; cat $2/namespace; echo; pwd; sleep 1000',
          'hello-$(NAME)',
          '/data/out',
          '/var/run/token',
        ],
        workingDir: '/data',
        env: [
          { name: 'NODE', ...field('spec.nodeName') },
          { name: 'NAME', ...field('metadata.name') },
          { name: 'APP', ...field("metadata.labels['app']") },
          { name: 'HOST', ...field('status.hostIP') },
          { name: 'GREETING', value: 'I-am-$(NAME)' },
          { name: 'UNKNOWN', value: '$(NOBODY)' },
        ],
        volumeMounts: [
          { name: 'data', mountPath: '/data' },
          { name: 'token', mountPath: '/var/run/token' },
        ],
      },
    });
    await until('five lines', () => cluster.events.lines('gs').length >= 4);
    const [words, token, namespace, directory] = cluster.events.lines('gs');
    assert.equal(words, 'n1 gs game 127.0.0.1 I-am-gs $(NOBODY)');
    assert.equal(namespace, 'arena');
    const data = join(cluster.root, 'pods', pod.metadata.uid, 'volumes', 'data');
    assert.equal(directory, data);
    assert.equal(await readFile(join(data, 'out'), 'utf8'), 'hello-gs\n');
    const review = await cluster.kube.create<{
      metadata: { name: string };
      status: { user: { username: string; extra: Record<string, string[]> } };
    }>('/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: ['game-api'] },
    });
    assert.equal(review.status.user.username, 'system:serviceaccount:arena:agent');
    assert.deepEqual(review.status.user.extra['authentication.kubernetes.io/pod-uid'], [pod.metadata.uid]);
    await cluster.kube.remove(`${podsPath}/gs`, { gracePeriodSeconds: 1 });
    await cluster.events.next('pod-gone', 'gs');
    await assert.rejects(readFile(join(data, 'out')), /ENOENT/);
  });

  test('what a pod asks for and this kubelet does not have is said in its status', async () => {
    await using cluster = await startCluster();
    await cluster.run('gs', 'true', { container: { env: [{ name: 'KEY', valueFrom: {} }] } });
    await cluster.run('vol', 'true', { spec: { volumes: [{ name: 'x', nfs: {} } as never] } });
    const waiting = await cluster.podWhen('gs', 'says why', ({ status }) => {
      return status?.containerStatuses?.[0]?.state.waiting?.reason === 'CreateContainerConfigError';
    });
    assert.match(waiting.status?.containerStatuses?.[0]?.state.waiting?.message ?? '', /env KEY/);
    assert.match((await cluster.events.next('volumes-failed', 'vol')).message, /volume x: only emptyDir/);
    await cluster.kube.remove(`${podsPath}/vol`);
    await cluster.events.next('pod-gone', 'vol');
  });

  test('a pod starts only after the time its image would take', async () => {
    await using cluster = await startCluster({ startDelayMs: 400 });
    await cluster.run('gs', idle);
    const started = await cluster.events.next('container-started', 'gs');
    assert.ok(started.atMs - (await cluster.events.next('pod-seen', 'gs')).atMs >= 390);
  });

  test('a container that writes more than its log may hold is never held up, and what was dropped is counted', async () => {
    await using cluster = await startCluster();
    const lines = 1500;
    const script = `awk 'BEGIN { s = sprintf("%8000s", ""); for (i = 0; i < ${lines}; i++) print s }'; echo done >&2`;
    const pod = await cluster.run('gs', script, { spec: { restartPolicy: 'Never' } });
    await cluster.events.next('pod-finished', 'gs');
    const dropped = cluster.events.of('log-dropped', 'gs').reduce((sum, { lines: count }) => sum + count, 0);
    const file = join(cluster.root, 'logs', `arena_gs_${pod.metadata.uid}`, 'game.log');
    const kept = await until('the log file', async () => {
      const text = await readFile(file, 'utf8');
      return text.split('\n').length - 1 + dropped === lines + 1 ? text : undefined;
    });
    assert.ok(kept.length <= 8 * 1024 * 1024);
    assert.ok(dropped > 0);
    assert.ok(cluster.events.lines('gs').includes('done'));
  });

  test('stopping the kubelet ends stubborn pods within its 2 s and leaves no process', async () => {
    const word = randomUUID();
    await using cluster = await startCluster();
    await cluster.run('gs', deaf, {
      container: { command: ['sh', '-c', deaf, word] },
    });
    await cluster.events.line('gs', 'up');
    assert.equal((await findByArgument(word)).length, 1);
    const begunAtMs = performance.now();
    await cluster.kubelet.stop();
    assert.ok(performance.now() - begunAtMs >= 1_990, 'it got its grace');
    assert.deepEqual(await findByArgument(word), []);
    assert.equal((await cluster.pod('gs'))?.status?.phase, 'Running', 'the API server hears nothing of it');
  });
});
