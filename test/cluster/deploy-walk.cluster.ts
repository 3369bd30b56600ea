import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { projectRoot, readProjectFile } from '../unit/manifests/manifest-files.ts';
import { skipWithoutKubectl, testCluster } from './support/test-cluster.ts';
import { adaptPods, startWalkNode } from './support/walk-node.ts';

interface Step {
  readonly command: string;
  /** Lines of output; `...` stands for any number of other lines. */
  readonly shown: readonly string[];
}

/** The commands of a guide's `console` blocks, in order, with the output that it shows for each. */
function stepsOf(guide: string): readonly Step[] {
  const blocks = [...guide.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  return blocks
    .flatMap((block) => block.split(/^\$ /m).filter((part) => part.trim() !== ''))
    .map((part) => {
      const [command = '', ...shown] = part.trimEnd().split('\n');
      return { command, shown };
    });
}

/** kubectl's versions print applied objects in different orders. */
function isShown(lines: readonly string[], shown: readonly string[]): boolean {
  return matches(lines, shown) || matches(lines.toSorted(), shown.toSorted());
}

function matches(lines: readonly string[], shown: readonly string[]): boolean {
  const [first, ...rest] = shown;
  if (first === undefined) return lines.length === 0;
  if (first === '...') return lines.some((_, at) => matches(lines.slice(at), rest)) || matches([], rest);
  return lines[0] === first && matches(lines.slice(1), rest);
}

const steps = stepsOf(readProjectFile('docs/deploy.md'));
const commandMs = 120_000;

test('a new user comes from nothing to a rehearsed node by the guide, and sees what it shows', {
  skip: skipWithoutKubectl,
}, async () => {
  // Not below /tmp, where the game servers have a volume.
  const home = await mkdtemp('/var/tmp/spotable-home-');
  try {
    // A control plane of its own: the guide uses the same names as the other tests.
    await using controlPlane = await startControlPlane({ binary: testCluster().binary });
    await using node = await startWalkNode(controlPlane, join(home, 'node'));
    await adaptPods(controlPlane, node.queueUrl);
    const env: Record<string, string> = {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      KUBECONFIG: controlPlane.kubeconfig,
    };
    const run = async (command: string): Promise<string> => {
      const options = { cwd: projectRoot, env, timeout: commandMs };
      const running = promisify(execFile)('bash', ['-euc', command], options);
      const { stdout } = await running.catch((error: Error & { stderr?: string }) =>
        assert.fail(`${command}: ${error.stderr || error.message}\n${node.lines.map(({ line }) => line).join('\n')}`),
      );
      return stdout.trimEnd();
    };
    for (const { command, shown } of steps) {
      const [, variable] = /^(\w+)=/.exec(command) ?? [];
      const output = await run(variable === undefined ? command : `${command}; echo "$${variable}"`);
      if (variable !== undefined) {
        env[variable] = output;
        continue;
      }
      const lines = output === '' ? [] : output.split('\n');
      assert.ok(isShown(lines, shown), `${command}\nshows:\n${output}\nand not:\n${shown.join('\n')}`);
    }
    const agent = node.lines.filter(({ container }) => container === 'agent').map(({ line }) => JSON.parse(line));
    assert.equal(agent.filter(({ msg }) => msg === 'Node drained').length, 1);
    assert.deepEqual(
      agent.filter(({ msg }) => msg === 'Kubernetes rights missing'),
      [],
    );
  } finally {
    await rm(home, { recursive: true });
  }
});

test('the guide is read as its commands and what they show', () => {
  const guide = 'a\n```console\n$ one\n1\n...\n3\n$ two\n```\n```sh\nnot this\n```\n';
  assert.deepEqual(stepsOf(guide), [
    { command: 'one', shown: ['1', '...', '3'] },
    { command: 'two', shown: [] },
  ]);
  assert.ok(matches(['1', '2', '2', '3'], ['1', '...', '3']));
  assert.ok(matches(['1', '3'], ['1', '...', '3']));
  assert.equal(matches(['1', '2'], ['1', '...', '3']), false);
  assert.equal(matches(['1', '2'], ['1']), false);
});
