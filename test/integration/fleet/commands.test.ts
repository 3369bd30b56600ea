import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { eventually } from '../agent/scene/eventually.ts';
import { FleetScene } from './fleet-scene.ts';

async function inFile<T>(content: string, act: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-command-'));
  try {
    const file = join(folder, 'document.yaml');
    await writeFile(file, content);
    return await act(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('the command line', () => {
  test('lists, describes, allocates and shows sessions', async () => {
    await using scene = await FleetScene.start();
    scene.addNode('n-1');
    scene.addFleet('arena', 2);
    await scene.warm(2);
    assert.match(
      (await scene.run('list')).out,
      /^FLEET +READY +SESSIONS +MAX .*\narena +2\/2 +0 +- +2 +complete +arena:1\n$/,
    );
    const allocated = await scene.run('allocate', 'game=none', 'game=arena', '--session', 'match-1', '--json');
    assert.equal(allocated.status, 0, allocated.err);
    const { gameServerName, session } = JSON.parse(allocated.out) as Record<string, string>;
    assert.equal(session, 'match-1');
    assert.ok((await scene.run('allocate', 'game=arena', '--session', 'match-1')).out.includes(gameServerName ?? '-'));
    await scene.warm(2);
    const sessions = JSON.parse((await scene.run('sessions', '--json')).out) as Record<string, unknown>[];
    assert.deepEqual(
      sessions.map(({ session: id, pod, fleet, node }) => ({ id, pod, fleet, node })),
      [{ id: 'match-1', pod: gameServerName, fleet: 'arena', node: 'n-1' }],
    );
    const described = (await scene.run('describe', 'arena')).out;
    assert.match(described, /^Rollout: +\[####################\] 2\/2 deployment "arena" successfully rolled out$/m);
    assert.match(described, /\(current\) +1 +2\/2 +1 +arena:1/);
  });

  test('takes an allocation as it stands in a guide of Agones', async () => {
    await using scene = await FleetScene.start();
    scene.addNode('n-1');
    for (const name of ['v1', 'v2']) scene.addFleet(name, 1);
    await scene.warm(2);
    const document = `apiVersion: "allocation.agones.dev/v1"
kind: GameServerAllocation
spec:
  # Deprecated, use field selectors instead.
  required:
    matchLabels:
      game: arena
  # Deprecated, use field selectors instead.
  preferred:
    - matchLabels:
        agones.dev/fleet: v2
`;
    await inFile(document, async (file) => {
      const first = await scene.run('allocate', '-f', file, '--json');
      assert.match((JSON.parse(first.out) as Record<string, string>)['gameServerName'] ?? '', /^v2-/);
      const second = await scene.run('allocate', '-f', file, '--json');
      assert.equal(second.status, 0);
    });
  });

  test('says what is wrong, by words and by its exit status', async () => {
    await using scene = await FleetScene.start();
    scene.addFleet('arena', 0);
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [['nonsense'], 64, /Unknown command "nonsense"/],
      [['describe'], 64, /takes the name of one fleet/],
      [['describe', 'other'], 66, /No fleet other: there are arena/],
      [['allocate', 'game'], 64, /Invalid selector "game"/],
      [['allocate', 'game=arena'], 75, /No game server fits/],
      [['allocate', '-f', '/nonexistent'], 66, /Cannot read \/nonexistent/],
      [['shift', '--from', 'arena'], 78, /Missing --to/],
      [['shift', '--from', 'arena', '--to', 'arena'], 64, /to itself/],
      [['shift', '--from', 'arena', '--to', 'x', '--step', '0%'], 64, /a share from 1% to 100%/],
      [['serve'], 78, /Missing --identity or POD_NAME/],
    ];
    for (const [args, status, message] of cases) {
      const run = await scene.run(...args);
      assert.equal(run.status, status, `${args.join(' ')}: ${run.err}`);
      assert.match(run.err, message);
      assert.equal(run.out, '');
    }
    assert.match((await scene.run('--help')).out, /COMMAND/);
  });

  test('shifts a fleet, waiting for each step, and takes it back', async () => {
    await using scene = await FleetScene.start();
    scene.addNode('n-1');
    scene.addFleet('blue', 4);
    scene.addFleet('green', 0);
    await scene.warm(4);
    const shift = async (from: string, to: string) => {
      const running = scene.run('shift', '--from', from, '--to', to, '--step', '50%', '--json');
      let isOver = false;
      const done = running.finally(() => {
        isOver = true;
      });
      // Somebody has to be the kubelet.
      while (!isOver) {
        await scene.warm(0);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return done;
    };
    const there = await shift('blue', 'green');
    assert.equal(there.status, 0, there.err);
    const steps = there.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { from: { warm: number }; to: { warm: number }; step: string });
    for (const { from, to } of steps) assert.ok(from.warm + to.warm >= 4 && from.warm + to.warm <= 6);
    assert.deepEqual([steps.at(-1)?.from.warm, steps.at(-1)?.to.warm], [0, 4]);
    const back = await shift('green', 'blue');
    assert.equal(back.status, 0, back.err);
    await eventually('blue has all of them', async () => /^blue +4\/4/m.test((await scene.run('list')).out));
  });

  test('goes on showing with --watch, one document a line in a pipe', async () => {
    await using scene = await FleetScene.start();
    scene.addNode('n-1');
    scene.addFleet('arena', 1);
    await scene.warm(1);
    const { spawn } = await import('node:child_process');
    const entry = new URL('../../../fleet/main.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [entry, 'list', '--watch', '--json'], {
      env: { PATH: process.env['PATH'] ?? '', KUBECONFIG: scene.kubeconfig, NAMESPACE: 'arena' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    try {
      const warm = () =>
        out
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => (JSON.parse(line) as { warm: number }[])[0]?.warm);
      await eventually('the first line', () => warm().includes(1));
      scene.scale('arena', 3);
      await eventually('the next line', () => warm().includes(3));
    } finally {
      const exit = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      assert.equal(await exit, 0);
    }
  });
});

test('convert writes a Deployment and says what differs', async () => {
  await using scene = await FleetScene.start();
  const fleet = `apiVersion: agones.dev/v1
kind: Fleet
metadata: {name: simple}
spec:
  replicas: 2
  template:
    spec:
      ports: [{name: default, containerPort: 7654}]
      template: {spec: {containers: [{name: game, image: game:1, command: [/game]}]}}
`;
  await inFile(fleet, async (file) => {
    const { status, out, err } = await scene.run('convert', '-f', file);
    assert.equal(status, 0, err);
    assert.match(out, /^kind: Deployment$/m);
    assert.match(out, /spotable.dev\/allocation: unallocated/);
    assert.match(err, /replicas counts warm game servers only/);
  });
  await inFile('kind: Pod', async (file) => {
    const { status, err } = await scene.run('convert', '-f', file);
    assert.equal(status, 64);
    assert.match(err, /expected a Fleet of agones.dev/);
  });
});
