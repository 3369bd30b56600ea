import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot, readProjectFile } from '../../unit/manifests/manifest-files.ts';
import { withoutKubectl } from './kustomize.ts';
import { startWalkCluster } from './walk-cluster.ts';

interface Step {
  readonly command: string;
  /** Lines of output; `...` stands for any number of others. */
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

/** What kubectl applies comes in an order of its own from version to version. */
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
const commandMs = 60_000;

test('a new user comes from nothing to a rehearsed node by the guide, and sees what it shows', {
  skip: withoutKubectl,
}, async () => {
  await using cluster = await startWalkCluster();
  const home = await mkdtemp(join(tmpdir(), 'spotable-home-'));
  const env: Record<string, string> = { PATH: process.env['PATH'] ?? '', HOME: home, KUBECONFIG: cluster.kubeconfig };
  const run = async (command: string): Promise<string> => {
    const options = { cwd: projectRoot, env, timeout: commandMs };
    const running = promisify(execFile)('bash', ['-euc', command], options);
    const { stdout } = await running.catch((error: Error & { stderr?: string }) =>
      assert.fail(`${command}: ${error.stderr || error.message}`),
    );
    return stdout.trimEnd();
  };
  try {
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
    const [agent] = cluster.agents;
    assert.equal(agent?.said('Node drained').length, 1);
    assert.deepEqual(agent?.said('Kubernetes rights missing'), []);
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
