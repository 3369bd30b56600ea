import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Player } from '../../../sandbox/game/player.ts';

const gameMain = fileURLToPath(new URL('../../../sandbox/game/main.ts', import.meta.url));
const playersMain = fileURLToPath(new URL('../../../sandbox/game/players/main.ts', import.meta.url));
const patienceMs = 30_000;

interface Game extends AsyncDisposable {
  child: ChildProcessByStdio<Writable, Readable, Readable>;
  lines: string[];
  /** The first line that matches, now or later. */
  line(wanted: RegExp): Promise<string>;
  port(): Promise<number>;
  stderr(): string;
  ended: Promise<number | NodeJS.Signals | null>;
}

function startGame(flags: readonly string[], env: Record<string, string> = {}): Game {
  const child = spawn(process.execPath, [gameMain, ...flags], { stdio: ['pipe', 'pipe', 'pipe'], env });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null);
  const line = (wanted: RegExp): Promise<string> =>
    until(`line ${wanted}`, () => lines.find((text) => wanted.test(text)));
  return {
    child,
    lines,
    line,
    port: async () => Number((await line(/^listening on udp/)).split(':')[1]),
    stderr: () => stderr,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function until<T>(what: string, ask: () => T | undefined): Promise<T> {
  const endsAtMs = performance.now() + patienceMs;
  while (performance.now() < endsAtMs) {
    const answer = ask();
    if (answer !== undefined && answer !== false) return answer;
    await delay(10);
  }
  throw new Error(`Waited ${patienceMs} ms in vain for ${what}`);
}

/** The next answer. Nothing is lost on the loopback as long as nobody floods it. */
async function ask(socket: Socket, port: number, text: string): Promise<string> {
  const answered = once(socket, 'message', { signal: AbortSignal.timeout(patienceMs) });
  socket.send(text, port, '127.0.0.1');
  const [answer] = (await answered) as [Buffer];
  return answer.toString();
}

function openSocket(): Socket & Disposable {
  const socket = createSocket('udp4');
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.close() });
}

describe('the sample game', { concurrency: 4 }, () => {
  test('echoes each client its own count and answers the state query', async () => {
    await using game = startGame(['--port', '0', '--players', '7', '--name', 'arena-1']);
    const port = await game.port();
    using one = openSocket();
    using two = openSocket();
    assert.equal(await ask(one, port, 'hello'), '1 hello');
    assert.equal(await ask(one, port, 'again'), '2 again');
    assert.equal(await ask(two, port, 'hello'), '1 hello');
    const first = JSON.parse(await ask(two, port, 'status')) as Record<string, unknown>;
    assert.deepEqual([first['name'], first['players'], first['going']], ['arena-1', 9, null]);
    const stateLater = async (): Promise<{ tick: number; uptime_ms: number }> =>
      JSON.parse(await ask(two, port, 'status'));
    let later = await stateLater();
    for (let asked = 0; later.tick < Number(first['tick']) + 4 && asked < 10_000; asked += 1)
      later = await stateLater();
    assert.ok(later.tick >= Number(first['tick']) + 4, 'it ticks');
    assert.ok(
      later.tick <= later.uptime_ms / 50 + 1,
      `${later.tick} ticks in ${later.uptime_ms} ms are more than 20 a second`,
    );
  });

  test('at SIGTERM it tells its clients, still answers while it saves, writes the file and exits with its code', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'game-test-'));
    try {
      const file = join(directory, 'world.json');
      await using game = startGame(['--port', '0', '--save', '600ms', '--save-file', file, '--exit-code', '5']);
      const port = await game.port();
      using client = openSocket();
      await ask(client, port, 'hello');
      const told = once(client, 'message', { signal: AbortSignal.timeout(patienceMs) });
      game.child.kill('SIGTERM');
      const [message] = (await told) as [Buffer];
      const [, going] = /^closing (.+)$/.exec(message.toString()) ?? [];
      assert.equal((JSON.parse(await ask(client, port, 'status')) as { going: string }).going, going);
      assert.equal(await game.ended, 5);
      assert.equal(game.lines.at(-1), 'bye');
      assert.equal((JSON.parse(await readFile(file, 'utf8')) as { name: string }).name, 'echo');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('a stubborn one says that it ignores SIGTERM, and goes on', async () => {
    await using game = startGame(['--port', '0', '--stubborn']);
    const port = await game.port();
    game.child.kill('SIGTERM');
    await game.line(/^SIGTERM ignored/);
    using client = openSocket();
    assert.equal(await ask(client, port, 'there?'), '1 there?');
  });

  test('takes console commands on stdin and on its RCON port', async () => {
    await using game = startGame([], { SERVER_PORT: '0', RCON_PORT: '0' });
    const port = await game.port();
    using client = openSocket();
    await ask(client, port, 'hello');
    const heard = once(client, 'message', { signal: AbortSignal.timeout(patienceMs) });
    game.child.stdin.write('say good night\n');
    assert.equal(String((await heard)[0]), 'say good night');
    game.child.stdin.write('save-all\nnonsense\n');
    await game.line(/^world saved at tick/);
    await game.line(/^unknown command: nonsense$/);
    const rconPort = Number((await game.line(/^console on tcp/)).split(':')[1]);
    const rcon = connect(rconPort, '127.0.0.1');
    const answers: string[] = [];
    createInterface({ input: rcon }).on('line', (line) => answers.push(line));
    rcon.write('status\nstop\n');
    assert.equal(await game.ended, 0);
    await until('the console', () => answers.length >= 2);
    assert.equal((JSON.parse(answers[0] ?? '') as { players: number }).players, 1);
    assert.equal(answers[1], 'stopping');
  });

  test('shows the deadline that the file named by its environment tells', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'game-test-'));
    try {
      const file = join(directory, 'deadline');
      await using game = startGame(['--port', '0'], { SPOTABLE_DEADLINE_FILE: file });
      using client = openSocket();
      const port = await game.port();
      const going = async (): Promise<unknown> =>
        (JSON.parse(await ask(client, port, 'status')) as { going: unknown }).going;
      assert.equal(await going(), null);
      await writeFile(file, '2026-04-24T17:11:44Z\n');
      assert.equal(await going(), '2026-04-24T17:11:44Z');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('binds late, and ends at once if it is told to before', async () => {
    await using late = startGame(['--port', '0', '--bind-delay', '300ms']);
    await late.port();
    await using never = startGame(['--port', '0', '--bind-delay', '5m', '--crash-after', '5m']);
    never.child.stdin.write('status\n');
    await never.line(/"uptime_ms"/);
    never.child.kill('SIGTERM');
    assert.equal(await never.ended, 0);
  });

  test('crashes when asked to', async () => {
    await using game = startGame(['--port', '0', '--crash-after', '100ms']);
    assert.equal(await game.ended, 'SIGSEGV');
  });

  test('a busy port and a wrong flag are one line on stderr and an exit code', async () => {
    using taken = openSocket();
    taken.bind(0, '127.0.0.1');
    await once(taken, 'listening');
    await using busy = startGame(['--port', String(taken.address().port)]);
    assert.equal(await busy.ended, 69);
    assert.match(busy.stderr(), /^echo-game: .*EADDRINUSE.*\n$/);
    for (const flags of [['--port', 'x'], [], ['--nope'], ['--port', '0', '--save', '3']]) {
      await using wrong = startGame(flags);
      assert.equal(await wrong.ended, 64, flags.join(' '));
      assert.match(wrong.stderr(), /^echo-game: .+\n$/);
    }
  });
});

describe('players', { concurrency: 4 }, () => {
  test('a player counts its answers, its losses and the longest silence', async () => {
    await using game = startGame(['--port', '0']);
    const player = new Player('127.0.0.1', await game.port());
    await player.play(50);
    await until('20 answers', () => player.report().answered >= 20);
    game.child.kill('SIGKILL');
    await game.ended;
    const { answered } = player.report();
    await until('losses', () => player.report().lost >= 5);
    const report = player.leave();
    assert.ok(report.answered >= answered && report.repeated === 0);
    assert.ok(report.maxGapMs >= 1_000, `${report.maxGapMs} ms`);
    assert.ok(report.answered + report.lost <= report.sent);
  });

  test('a player that moves to another server goes on being answered there', async () => {
    await using one = startGame(['--port', '0']);
    await using two = startGame(['--port', '0']);
    const player = new Player('127.0.0.1', await one.port());
    await player.play(50);
    await until('an answer', () => player.report().answered > 0);
    player.moveTo('127.0.0.1', await two.port());
    one.child.kill('SIGTERM');
    await one.ended;
    const { answered } = player.report();
    await until('answers from the second', () => player.report().answered >= answered + 10);
    assert.equal(player.leave().toldClosing, true);
  });

  test('the players process reports all of them in one JSON line', async () => {
    await using game = startGame(['--port', '0']);
    const flags = ['--port', String(await game.port()), '--players', '5', '--rate', '50', '--seconds', '1'];
    const child = spawn(process.execPath, [playersMain, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
    const report = JSON.parse(text) as { players: number; sent: number; answered: number };
    assert.equal(report.players, 5);
    assert.ok(report.answered > 100 && report.answered <= report.sent, text);
  });
});
