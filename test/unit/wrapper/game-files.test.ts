import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import fc from 'fast-check';
import { LineMatcher } from '../../../wrapper/game/line-matcher.ts';
import { overwriteFile } from '../../../wrapper/game/overwrite-file.ts';
import { fillIn, setProperty } from '../../../wrapper/game/placeholders.ts';
import { parseStatusFile, StatusFile } from '../../../wrapper/game/status-file.ts';
import { textFormOf } from '../../../wrapper/game/text-form.ts';
import { writeConfigFiles } from '../../../wrapper/game/write-config-files.ts';

suite('Placeholders', () => {
  test('are filled in wherever their name stands in braces', () => {
    assert.equal(fillIn('+port {A} {A}/{B}', { A: '1', B: '2' }), '+port 1 1/2');
  });

  test('of other names stay as they are, because config formats are full of braces', () => {
    assert.equal(fillIn('{"a": {b}} {toString} $(A) { A }', { A: '1' }), '{"a": {b}} {toString} $(A) { A }');
  });

  test('are not looked for in what was filled in', () => {
    assert.equal(fillIn('{A}', { A: '{B}', B: '2' }), '{B}');
  });
});

suite('A properties file', () => {
  const content = '#Minecraft server properties\nmotd=A server-port=1\nserver-port = 25565\nmax=20\n';

  test('keeps all but the one line', () => {
    assert.equal(
      setProperty(content, 'server-port', '20001'),
      '#Minecraft server properties\nmotd=A server-port=1\nserver-port=20001\nmax=20\n',
    );
  });

  test('gets the line where it has none, and an end to the line before', () => {
    assert.equal(setProperty('a=1', 'b', '2'), 'a=1\nb=2\n');
    assert.equal(setProperty('', 'b', '2'), 'b=2\n');
  });

  test('keeps Windows line ends', () => {
    assert.equal(setProperty('a=1\r\nb=2\r\n', 'a', '9'), 'a=9\r\nb=2\r\n');
  });

  test('says the same after the same line is set twice', () => {
    const once = setProperty(content, 'rcon.port', '5');
    assert.equal(setProperty(once, 'rcon.port', '5'), once);
  });

  test('keeps lines that only look like the key', () => {
    const odd = 'server-portX\n#server-port=1\nserver-port-v6=2\n';
    assert.equal(setProperty(odd, 'server-port', '5'), `${odd}server-port=5\n`);
  });

  test('says the same to readers that take the first and to those that take the last of two lines', () => {
    assert.equal(setProperty('a=1\nb=2\r\na: 3\r\n', 'a', '9'), 'a=9\nb=2\r\na=9\r\n');
  });
});

suite('A config file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-files-'));
  after(() => rmSync(folder, { recursive: true }));
  const [source, file] = [join(folder, 'in'), join(folder, 'out')];

  test('keeps every byte that is not ours, in whatever encoding, and takes our text as UTF-8', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const content = Buffer.concat([bytes, Buffer.from(' {NAME} é')]);
        fc.pre(textFormOf(content) === 'bytes');
        writeFileSync(source, content);
        writeConfigFiles([{ source, destination: file }], [], { NAME: 'Zürich' });
        assert.deepEqual(readFileSync(file), Buffer.concat([bytes, Buffer.from(' Zürich é')]));
      }),
    );
    writeFileSync(file, Buffer.from('motd=Caf\xe9\nserver-port=1\n', 'latin1'));
    writeConfigFiles([], [{ file, key: 'server-port', value: '{PORT}' }], { PORT: '5' });
    assert.equal(readFileSync(file, 'latin1'), 'motd=Caf\xe9\nserver-port=5\n');
  });
});

suite('A config file of a Windows program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'windows-files-'));
  after(() => rmSync(folder, { recursive: true }));
  const [source, file] = [join(folder, 'in'), join(folder, 'out')];
  const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16();
  const forms: readonly [string, (text: string) => Buffer][] = [
    ['UTF-16 with a byte order mark', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16 without one', (text) => Buffer.from(text, 'utf16le')],
    ['big-endian UTF-16', (text) => utf16be(`\ufeff${text}`)],
    ['big-endian UTF-16 without a mark', utf16be],
    ['UTF-8 with a byte order mark', (text) => Buffer.from(`\ufeff${text}`)],
  ];
  for (const [name, encode] of forms)
    test(`in ${name} is changed where it should be, and keeps its form`, () => {
      writeFileSync(file, encode('Port=1\r\n[Überschrift]\r\nName=x\r\n'));
      writeConfigFiles([], [{ file, key: 'Port', value: '{PORT}' }], { PORT: '5' });
      writeConfigFiles([], [{ file, key: 'Name', value: '{NAME}' }], { NAME: 'Zürich' });
      writeConfigFiles([], [{ file, key: 'New', value: '1' }], {});
      assert.deepEqual(readFileSync(file), encode('Port=5\r\n[Überschrift]\r\nName=Zürich\r\nNew=1\r\n'));
      writeFileSync(source, encode('<port>{PORT}</port>'));
      writeConfigFiles([{ source, destination: file }], [], { PORT: 'ß5' });
      assert.deepEqual(readFileSync(file), encode('<port>ß5</port>'));
    });

  test('in UTF-32 is refused in one line and stays as it is', () => {
    const content = Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]);
    writeFileSync(file, content);
    assert.throws(
      () => writeConfigFiles([], [{ file, key: 'a', value: '1' }], {}),
      /^FatalError: Cannot read properties file .*out: it is UTF-32, expected UTF-8 or UTF-16$/,
    );
    assert.deepEqual(readFileSync(file), content);
  });
});

suite('A file that is overwritten', () => {
  const folder = mkdtempSync(join(tmpdir(), 'overwrite-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  const content = (text: string) => Buffer.from(text);

  test('is replaced in one step, keeps its mode, and leaves nothing beside it', () => {
    const file = path('alone/a');
    mkdirSync(path('alone'));
    writeFileSync(file, 'old', { mode: 0o640 });
    const before = openSync(file, 'r');
    overwriteFile(file, content('new'));
    assert.equal(readFileSync(file, 'utf8'), 'new');
    assert.equal(statSync(file).mode & 0o777, 0o640);
    // Whoever had it open still reads what it was, not half of what it is.
    assert.equal(readFileSync(before, 'utf8'), 'old');
    closeSync(before);
    assert.deepEqual(readdirSync(path('alone')), ['a']);
  });

  test('stays a symbolic link, and the same file under its other names', () => {
    writeFileSync(path('real'), 'old');
    symlinkSync('real', path('link'));
    overwriteFile(path('link'), content('by link'));
    assert.equal(readlinkSync(path('link')), 'real');
    assert.equal(readFileSync(path('real'), 'utf8'), 'by link');
    linkSync(path('real'), path('other'));
    overwriteFile(path('other'), content('by name'));
    assert.equal(readFileSync(path('real'), 'utf8'), 'by name');
  });

  const isRoot = process.getuid?.() === 0;
  test('is written over where its folder takes no new file', { skip: isRoot && 'root may write anywhere' }, () => {
    mkdirSync(path('closed'));
    writeFileSync(path('closed/a'), 'old');
    chmodSync(path('closed'), 0o555);
    overwriteFile(path('closed/a'), content('new'));
    assert.equal(readFileSync(path('closed/a'), 'utf8'), 'new');
    chmodSync(path('closed'), 0o755);
  });

  const small = ['unshare', '--user', '--map-root-user', '--mount'];
  const inSmallMount = (script: string) => [
    ...small.slice(1),
    'sh',
    '-c',
    `mount -t tmpfs -o size=64k tmpfs "$1" && cd "$1" && ${script}`,
    'sh',
  ];
  const isPossible = spawnSync(small[0] ?? '', [...inSmallMount('true'), mkdtempSync(path('mount-'))]).status === 0;
  test('keeps its old content where a full disk has no room for more', { skip: !isPossible && 'needs unshare' }, () => {
    const module = join(import.meta.dirname, '../../../wrapper/game/overwrite-file.ts');
    const program = `import { overwriteFile } from '${module}'; overwriteFile('a', Buffer.alloc(60_000, 'y'))`;
    const script = `head -c 30000 /dev/zero | tr '\\0' x > a; "$2" --input-type=module-typescript -e "$3"; grep -c '^x*$' a; wc -c < a; ls -A`;
    const { stdout, stderr } = spawnSync(
      small[0] ?? '',
      [...inSmallMount(script), mkdtempSync(path('mount-')), process.execPath, program],
      { encoding: 'utf8' },
    );
    assert.match(stderr, /ENOSPC/);
    assert.deepEqual(stdout.trim().split('\n'), ['1', '30000', 'a']);
  });
});

suite('A line in the output', () => {
  test('is found however the bytes are cut', () => {
    const output = Buffer.from('loading\r\nwörld done\nready on 5\nmore');
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: output.length }), { maxLength: 8 }), (cuts) => {
        const matcher = new LineMatcher(/^wörld done$/);
        const ends = [...cuts.toSorted((a, b) => a - b), output.length];
        assert.ok(ends.some((end, index) => matcher.push(output.subarray(ends[index - 1] ?? 0, end))));
      }),
    );
  });

  test('is not found before it is whole', () => {
    const matcher = new LineMatcher(/^ready$/);
    assert.equal(matcher.push(Buffer.from('ready')), false);
    assert.equal(matcher.push(Buffer.from(' or not\n')), false);
    assert.equal(matcher.push(Buffer.from('ready\r\n')), true);
  });

  test('is found under its colours, as a terminal shows it and as it was written', () => {
    const line = Buffer.from(
      '[\x1b[32mINFO\x1b[0m]: Server \x1b[1mstarted\x1b[0m\x1b]0;title\x07 on\x1b(B port 5\x1b[K\r\n',
    );
    assert.ok(new LineMatcher(/^\[INFO\]: Server started on port 5$/).push(line));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what somebody may have written before
    assert.ok(new LineMatcher(/\x1b\[32mINFO/).push(line));
  });

  test('without an end costs no more than its beginning', () => {
    const matcher = new LineMatcher(/end/);
    for (let chunk = 0; chunk < 100; chunk++) matcher.push(Buffer.alloc(65_536, 'x'));
    assert.equal(matcher.push(Buffer.from('end\n')), false);
    assert.equal(matcher.push(Buffer.from('end\n')), true);
  });
});

suite('A status file', () => {
  test('says what the game knows', () => {
    assert.deepEqual(parseStatusFile('{"players":3,"allocated":true,"labels":{"map":"dm6"},"new":1}'), {
      players: 3,
      isAllocated: true,
      labels: { map: 'dm6' },
    });
    assert.deepEqual(parseStatusFile('{}'), { players: null, isAllocated: undefined, labels: {} });
  });

  for (const wrong of [
    '',
    '[]',
    'null',
    '{"players":-1}',
    '{"players":1.5}',
    '{"players":"3"}',
    '{"allocated":1}',
    '{"labels":[]}',
    '{"labels":{"a":1}}',
    '{"labels":{"a b":"c"}}',
  ])
    test(`is not believed when it says ${wrong || 'nothing'}`, () =>
      assert.equal(typeof parseStatusFile(wrong), 'string'));

  test('cannot make events grow', () => {
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`l${index}`, '']));
    assert.equal(typeof parseStatusFile(JSON.stringify({ labels: many })), 'string');
    assert.equal(typeof parseStatusFile(JSON.stringify({ labels: { a: 'x'.repeat(257) } })), 'string');
  });
});

suite('A status file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'status-file-'));
  after(() => rmSync(folder, { recursive: true }));

  test('is read when it is there, and again when it has changed', () => {
    const path = join(folder, 'status');
    const file = new StatusFile(path);
    assert.equal(file.readIfChanged(), undefined);
    writeFileSync(path, '{"players": 3}');
    assert.deepEqual(file.readIfChanged(), { players: 3, isAllocated: undefined, labels: {} });
    assert.equal(file.readIfChanged(), undefined);
    rmSync(path);
    assert.equal(file.readIfChanged(), undefined);
    writeFileSync(path, '{"players": 12}');
    assert.deepEqual(file.readIfChanged(), { players: 12, isAllocated: undefined, labels: {} });
  });

  test('may be UTF-8 with a byte order mark, or UTF-16: Windows programs write it so', () => {
    const path = join(folder, 'windows');
    const file = new StatusFile(path);
    const status = '\ufeff{"players": 7, "allocated": true, "labels": {"map": "Ö"}}';
    for (const content of [Buffer.from(status), Buffer.from(`${status} `, 'utf16le')]) {
      writeFileSync(path, content);
      assert.deepEqual(file.readIfChanged(), { players: 7, isAllocated: true, labels: { map: 'Ö' } });
    }
  });

  const odd: [string, (path: string) => void, RegExp][] = [
    ['a pipe, which nobody waits at', (path) => execFileSync('mkfifo', [path]), /not a regular file/],
    ['a folder', (path) => mkdirSync(path), /not a regular file/],
    ['a link to itself', (path) => symlinkSync(path, path), /ELOOP/],
    ['larger than an event', (path) => writeFileSync(path, ' '.repeat(20_000)), /larger than 16384 bytes/],
  ];
  for (const [what, make, reason] of odd)
    test(`that is ${what} is told of once, and read when it is a file`, () => {
      const path = join(folder, what.replaceAll(/\W/g, '-'));
      make(path);
      const file = new StatusFile(path);
      assert.match(String(file.readIfChanged()), reason);
      assert.equal(file.readIfChanged(), undefined);
      rmSync(path, { recursive: true });
      writeFileSync(path, '{"players": 1}');
      assert.deepEqual(file.readIfChanged(), { players: 1, isAllocated: undefined, labels: {} });
    });
});
