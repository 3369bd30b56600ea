import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
  addonFlags,
  programFile,
  skipped,
  startPlayer,
  startProxy,
  startReplica,
  transports,
  until,
} from './proxy-harness.ts';

const get = async (url: string) => {
  const response = await fetch(url);
  return { status: response.status, text: await response.text() };
};

async function run(flags: readonly string[]): Promise<{ status: number | null; stderr: string; stdout: string }> {
  const child = spawn(process.execPath, [programFile, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stderr, stdout] = ['', ''];
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stderr, stdout };
}

test('readiness follows the replicas and the drain; liveness and metrics are served', async () => {
  const replica = await startReplica('a');
  const proxy = await startProxy('dgram', [], ['--drain', '10s']);
  assert.deepEqual(await get(`${proxy.operationsUrl}/readyz`), { status: 503, text: 'no replica is ready\n' });
  proxy.setUpstreams([replica.upstream]);
  assert.equal((await get(`${proxy.operationsUrl}/readyz`)).status, 200);
  assert.equal((await get(`${proxy.operationsUrl}/livez`)).status, 200);
  const player = await startPlayer(proxy.port);
  player.send('x');
  await until(() => player.answers.length === 1, 'the player is answered');
  const metrics = (await get(`${proxy.operationsUrl}/metrics`)).text;
  assert.match(metrics, /^spotable_fanout_downstream_datagrams_sent_total 1$/m);
  assert.match(metrics, /^spotable_fanout_replica_primary\{replica="127\.0\.0\.1:\d+"\} 1$/m);
  assert.equal((await get(`${proxy.operationsUrl}/nothing`)).status, 404);
  proxy.drain();
  assert.deepEqual(await get(`${proxy.operationsUrl}/readyz`), { status: 503, text: 'draining\n' });
  player.send('y');
  await until(() => player.answers.length === 2, 'a player who has a session is served on');
  const late = await startPlayer(proxy.port);
  late.send('z');
  const isRefused = async () =>
    /drops_total\{reason="draining"\} 1$/m.test((await get(`${proxy.operationsUrl}/metrics`)).text);
  const endMs = performance.now() + 5000;
  while (!(await isRefused()) && performance.now() < endMs);
  assert.equal(await isRefused(), true);
  assert.equal(late.answers.length, 0);
  await proxy.stop();
  for (const { close } of [player, late]) close();
  replica.stop();
});

test('a drain ends with the last session', async () => {
  const replica = await startReplica('a');
  const proxy = await startProxy('dgram', [replica.upstream], ['--unconfirmed-idle', '200ms']);
  const player = await startPlayer(proxy.port);
  player.send('x');
  await until(() => player.answers.length === 1, 'the player is answered');
  proxy.drain();
  await proxy.ended;
  player.close();
  replica.stop();
});

test('the TCP port for a load balancer is open while ready and closed otherwise', async () => {
  const replica = await startReplica('a');
  // The port is chosen by a listener that is gone: nobody else on this machine is likely to take it meanwhile.
  const free = await startReplica('free');
  free.stop();
  const proxy = await startProxy('dgram', [], ['--tcp-health', `127.0.0.1:${free.port}`]);
  const isOpen = async () => {
    const socket = connect({ host: '127.0.0.1', port: free.port });
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    return open;
  };
  const becomes = async (wanted: boolean) => {
    const endMs = performance.now() + 5000;
    while ((await isOpen()) !== wanted) if (performance.now() > endMs) return false;
    return true;
  };
  assert.equal(await isOpen(), false);
  proxy.setUpstreams([replica.upstream]);
  assert.ok(await becomes(true), 'open once ready');
  proxy.setUpstreams([]);
  assert.ok(await becomes(false), 'closed again');
  await proxy.stop();
  replica.stop();
});

for (const [flags, status, line] of [
  [['--upstream', 'nonsense'], 64, /^spotable-fanout: Invalid --upstream "nonsense": expected HOST:PORT/],
  [['--probe', 'icmp', '--upstream', '127.0.0.1:1'], 64, /^spotable-fanout: Invalid --probe "icmp": expected tcp/],
  [[], 64, /^spotable-fanout: No replicas configured: set --upstream/],
  [
    ['--upstream', '127.0.0.1:1', '--listen', '192.0.2.1:7'],
    71,
    /^spotable-fanout: Cannot listen on udp 192\.0\.2\.1:7: /,
  ],
  [
    ['--upstream', '127.0.0.1:1', '--transport', 'native', '--addon', '/nowhere'],
    69,
    /^spotable-fanout: Cannot load the native transport: /,
  ],
] as const)
  test(`${flags.join(' ') || 'no flags'} ends with status ${status} and one line`, async () => {
    const ended = await run(['--operations', '127.0.0.1:0', '--transport', 'dgram', ...flags]);
    assert.equal(ended.status, status);
    assert.match(ended.stderr, line);
    assert.equal(ended.stderr.trim().split('\n').length, 1, ended.stderr);
  });

for (const workers of ['1', '2'])
  test(`the program serves with ${workers} workers and ends with status 0 on SIGTERM`, async () => {
    const replica = await startReplica('a');
    const flags = ['--listen', '127.0.0.1:0', '--operations', '127.0.0.1:0', '--upstream', `127.0.0.1:${replica.port}`];
    const child = spawn(process.execPath, [programFile, ...flags, ...addonFlags, '--workers', workers], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    await until(() => stderr.includes('Fan-out proxy listening'), 'it listens');
    const serving = stderr.split('\n').find((line) => line.includes('Fan-out proxy listening')) ?? '{}';
    const player = await startPlayer((JSON.parse(serving) as { port: number }).port);
    player.send('hello');
    await until(() => player.answers.length === 1, 'the player is answered');
    child.kill('SIGTERM');
    await until(() => stderr.includes('Fan-out proxy draining'), 'it drains');
    child.kill('SIGTERM');
    const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
    assert.deepEqual([status, signal], [0, null], stderr);
    player.close();
    replica.stop();
  });

for (const transport of transports)
  test(`over ${transport} it can be probed when sessions want more sockets than there are`, {
    skip: skipped(transport),
  }, async () => {
    const replicas = [await startReplica('a'), await startReplica('b')];
    const upstreams = replicas.flatMap(({ port }) => ['--upstream', `127.0.0.1:${port}`]);
    const flags = [
      '--listen',
      '127.0.0.1:0',
      '--operations',
      '127.0.0.1:0',
      '--transport',
      transport,
      ...upstreams,
      ...addonFlags,
    ];
    const few = ['-c', 'ulimit -n 120 && exec "$@"', 'sh', process.execPath, programFile, ...flags];
    const child = spawn('sh', few, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    await until(() => stderr.includes('Fan-out proxy listening'), 'it listens');
    const line = stderr.split('\n').find((text) => text.includes('Fan-out proxy listening')) ?? '{}';
    const { port, operations } = JSON.parse(line) as { port: number; operations: number | string };
    const players = await Promise.all(Array.from({ length: 100 }, () => startPlayer(port)));
    const [first] = players;
    first?.send('early');
    await until(() => first?.answers.length === 1, 'the first player is answered');
    for (const { send } of players) send('hello');
    const url = `http://127.0.0.1:${operations}`;
    await until(
      () => players.filter(({ answers }) => answers.length > 0).length >= 30,
      'those with a socket are answered',
    );
    assert.equal((await get(`${url}/livez`)).status, 200);
    const refused = /drops_total\{reason="no-socket"\} (\d+)/.exec((await get(`${url}/metrics`)).text)?.[1];
    assert.ok(Number(refused) > 0, 'refusals are counted');
    first?.send('late');
    await until(() => first?.answers.length === 3, 'who has sockets keeps them');
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (const { close } of players) close();
    for (const { stop } of replicas) stop();
  });

test('without its addon the program logs so once and serves over node:dgram', async () => {
  const replica = await startReplica('a');
  const proxy = await startProxy('dgram', [replica.upstream]);
  await proxy.stop();
  const flags = ['--listen', '127.0.0.1:0', '--operations', '127.0.0.1:0', '--upstream', `127.0.0.1:${replica.port}`];
  const child = spawn(process.execPath, [programFile, ...flags, '--addon', programFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  await until(() => stderr.includes('Fan-out proxy listening'), 'it listens');
  assert.equal(stderr.match(/Native transport unavailable, using node:dgram/g)?.length, 1);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  replica.stop();
});
