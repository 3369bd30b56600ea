import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { findPeers } from '../../../wrapper/agones/callers/connection-table.ts';
import { sdkCounter, sdkList } from '../../../wrapper/agones/parse-sdk-setting.ts';
import { Fields } from '../../../wrapper/agones/protocol/fields.ts';
import { methods } from '../../../wrapper/agones/protocol/methods.ts';
import { findRoute } from '../../../wrapper/agones/rest/find-route.ts';
import { parseBody } from '../../../wrapper/agones/rest/read-body.ts';

suite('A request line', () => {
  for (const [verb, target, expected] of [
    ['POST', '/ready', 'Ready'],
    ['GET', '/gameserver', 'GetGameServer'],
    ['GET', '/watch/gameserver?x=1', 'WatchGameServer'],
    ['PUT', '/metadata/label', 'SetLabel'],
    ['GET', '/v1beta1/counters/rooms', 'GetCounter'],
    ['PATCH', '/v1beta1/counters/rooms', 'UpdateCounter'],
    ['POST', '/v1beta1/lists/players:addValue', 'AddListValue'],
    ['POST', '/v1beta1/lists/players:removeValue', 'RemoveListValue'],
    ['GET', '/alpha/player/connected', 'GetConnectedPlayers'],
    ['GET', '/alpha/player/connected/uzh7i', 'IsPlayerConnected'],
  ] as const)
    test(`${verb} ${target} means ${expected}`, () => {
      const route = findRoute(verb, target);
      assert.ok('method' in route);
      assert.equal(route.method.name, expected);
    });

  for (const [verb, target, code] of [
    ['GET', '/', 5],
    ['GET', '/gameserver/', 5],
    ['GET', '/../ready', 5],
    ['GET', '/v1beta1/counters/', 5],
    ['GET', '/v1beta1/counters/a/b', 5],
    ['GET', '/ready', 12],
    ['DELETE', '/gameserver', 12],
    ['BREW', '/ready', 12],
    ['GET', '/v1beta1/counters/%zz', 3],
  ] as const)
    test(`${verb} ${target} is refused with code ${code}`, () => {
      const route = findRoute(verb, target);
      assert.ok('code' in route);
      assert.equal(route.code, code);
    });

  test('may carry a name in escapes, and the mask in the query', () => {
    const route = findRoute('PATCH', '/v1beta1/lists/a%20b?updateMask=values');
    assert.ok('fields' in route);
    assert.deepEqual(route.fields, { name: 'a b', updateMask: 'values' });
  });

  test('of any kind finds a call or an error, and throws nothing', () =>
    fc.assert(
      fc.property(fc.string(), fc.string(), (verb, target) => assert.ok(findRoute(verb, `/${target}`) !== undefined)),
      { numRuns: 100 },
    ));

  test('exists once for each call', () =>
    assert.equal(new Set(methods.map(({ verb, path }) => `${verb} ${path}`)).size, methods.length));
});

suite('A field', () => {
  for (const [value, expected] of [
    ['5', 5n],
    [5, 5n],
    [-5, -5n],
    [null, 0n],
    [undefined, 0n],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['-9223372036854775808', -(2n ** 63n)],
  ] as const)
    test(`of 64 bits reads ${JSON.stringify(value)}`, () => {
      const fields = new Fields({ seconds: value });
      assert.equal(fields.int64('seconds'), expected);
      assert.equal(fields.problem, undefined);
    });

  for (const value of ['9223372036854775808', '', ' 5', '5.5', 5.5, 2 ** 60, '0x5', true, {}, [], [5]])
    test(`of 64 bits refuses ${JSON.stringify(value)}`, () => {
      const fields = new Fields({ seconds: value });
      fields.int64('seconds');
      assert.match(fields.problem ?? '', /^invalid value for field seconds: expected a /);
    });

  test('of text or a list takes nothing else, and no name of Object’s own', () => {
    for (const [name, read] of [
      ['key', (fields: Fields) => fields.text('key')],
      ['key', (fields: Fields) => fields.texts('key')],
    ] as const)
      for (const value of [5, true, {}, [5]]) {
        const fields = new Fields({ [name]: value });
        read(fields);
        assert.notEqual(fields.problem, undefined);
      }
    assert.equal(new Fields({}).text('constructor'), '');
  });
});

suite('A body', () => {
  for (const [text, expected] of [
    ['', {}],
    ['{}', {}],
    ['null', {}],
    [' {"a":1} ', { a: 1 }],
    ['[]', 'the body is not a JSON object'],
    ['5', 'the body is not a JSON object'],
    ['{', 'the body is not JSON'],
    ['{}{}', 'the body is not JSON'],
  ] as const)
    test(`${JSON.stringify(text)} is ${JSON.stringify(expected)}`, () =>
      assert.deepEqual(parseBody(Buffer.from(text)), expected));
});

suite('The wire forms of a call', () => {
  const read = (name: string, message: Record<string, unknown>, form: 'grpc' | 'rest') => {
    const method = methods.find((one) => one.name === name);
    assert.ok(method);
    const change = form === 'grpc' ? method.unwrap : method.complete;
    return method.read(new Fields(change?.(message) ?? message));
  };

  test('agree for a counter', () => {
    const grpc = {
      counterUpdateRequest: { name: 'rooms', count: { value: '0' }, capacity: null, countDiff: '0' },
    };
    const expected = { kind: 'update-counter', name: 'rooms', count: 0n, capacity: undefined, difference: 0n };
    assert.deepEqual(read('UpdateCounter', grpc, 'grpc'), expected);
    assert.deepEqual(read('UpdateCounter', { name: 'rooms', count: '0' }, 'rest'), expected);
    assert.deepEqual(read('UpdateCounter', { counterUpdateRequest: null }, 'grpc'), {
      ...expected,
      name: '',
      count: undefined,
    });
  });

  test('agree for a list, whose mask REST leaves to what the body names', () => {
    const expected = { kind: 'update-list', name: 'players', capacity: 0n, values: [], fields: ['capacity'] };
    const list = { name: 'players', capacity: '0', values: [] };
    assert.deepEqual(read('UpdateList', { list, update_mask: { paths: ['capacity'] } }, 'grpc'), expected);
    assert.deepEqual(read('UpdateList', { name: 'players', capacity: '0' }, 'rest'), expected);
    assert.deepEqual(read('UpdateList', { ...list, updateMask: 'capacity' }, 'rest'), expected);
    assert.deepEqual(read('UpdateList', { list, update_mask: null }, 'grpc'), { ...expected, fields: [] });
  });
});

suite('The kernel’s table of connections', () => {
  // Port 50000 is C350, 40000 is 9C40.
  const row = (local: string, remote: string, state: string, inode: number) =>
    `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0000000000000000 20 4 30 10 -1`;
  const ipv4 = '0100007F';
  const mapped = '0000000000000000FFFF00000100007F';
  const ipv6 = '00000000000000000000000001000000';
  const find = (...rows: string[]) => {
    const found = new Map<string, number>();
    findPeers(['  sl  local_address ...', ...rows, ''].join('\n'), new Set(['50000>40000']), found);
    return found.get('50000>40000');
  };

  for (const [name, address] of Object.entries({ ipv4, mapped, ipv6 }))
    test(`names the caller's socket and not our own end (${name})`, () =>
      assert.equal(
        find(row(`${address}:9C40`, `${address}:C350`, '01', 7), row(`${address}:C350`, `${address}:9C40`, '01', 8)),
        8,
      ));

  test('tells nothing of a connection to another machine with the same ports, or of one that has ended', () => {
    assert.equal(find(row('0A00000A:C350', '0B00000A:9C40', '01', 9)), undefined);
    assert.equal(find(row(`${ipv4}:C350`, `${ipv4}:9C40`, '06', 9)), undefined);
    assert.equal(find('garbage', ''), undefined);
  });
});

suite('What the spec of a GameServer says', () => {
  test('is read as a counter or a list', () => {
    assert.deepEqual(sdkCounter('rooms=1/10'), { value: ['rooms', { count: 1n, capacity: 10n }] });
    assert.deepEqual(sdkList('players=100'), { value: ['players', { capacity: 100n, values: [] }] });
    assert.deepEqual(sdkList('players=3:test0,test1,a b'), {
      value: ['players', { capacity: 3n, values: ['test0', 'test1', 'a b'] }],
    });
  });
  for (const text of ['', 'rooms', 'rooms=1', 'rooms=11/10', '=1/2', 'a b=1/2'])
    test(`is no counter where it says ${JSON.stringify(text)}`, () => assert.ok('expected' in sdkCounter(text)));
  const tooMany = 'players=1:a,b';
  for (const text of ['', 'players', 'players=1001', 'players=-1', '=1', tooMany, 'players=9:a,a', 'players=9:a,,b'])
    test(`is no list where it says ${JSON.stringify(text)}`, () => assert.ok('expected' in sdkList(text)));
});
