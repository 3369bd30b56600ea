import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseMetadataFlags } from '../../../sandbox/metadata/flags.ts';

const plain = { kind: 'run', port: 0, instance: {}, notice: undefined, exitsWithParent: false };

describe('parseMetadataFlags', () => {
  const good: [line: string, flags: object][] = [
    ['', plain],
    ['--help --port 1', { kind: 'help' }],
    ['--port 1338 --exit-with-parent', { ...plain, port: 1338, exitsWithParent: true }],
    [
      '--instance-id i-1 --instance-type g5.xlarge --zone us-east-1b --life-cycle on-demand',
      {
        ...plain,
        instance: { instanceId: 'i-1', instanceType: 'g5.xlarge', zone: 'us-east-1b', lifeCycle: 'on-demand' },
      },
    ],
    [
      '--private-ip 10.1.2.3 --public-ip 203.0.113.7 --public-hostname play.example.com',
      { ...plain, instance: { privateIp: '10.1.2.3', publicIp: '203.0.113.7', publicHostname: 'play.example.com' } },
    ],
    ['--notice-in 10s', { ...plain, notice: { action: 'terminate', afterMs: 10_000, noticeMs: 120_000 } }],
    ['--notice 30s', { ...plain, notice: { action: 'terminate', afterMs: 0, noticeMs: 30_000 } }],
    ['--action hibernate', { ...plain, notice: { action: 'hibernate', afterMs: 0, noticeMs: 120_000 } }],
    [
      '--notice-in 500ms --notice 2m --action stop',
      { ...plain, notice: { action: 'stop', afterMs: 500, noticeMs: 120_000 } },
    ],
  ];
  for (const [line, flags] of good) {
    it(`reads ${line || 'nothing'}`, () =>
      assert.deepEqual(parseMetadataFlags(line.split(' ').filter(Boolean)), flags));
  }

  const bad: [line: string, says: RegExp][] = [
    ['--color red', /--color/],
    ['serve', /serve/],
    ['--port', /--port/],
    ['--port 65536', /--port "65536": expected 0 to 65535/],
    ['--port http', /--port "http"/],
    ['--zone moon', /--zone "moon"/],
    ['--life-cycle reserved', /--life-cycle "reserved"/],
    ['--private-ip ::1', /--private-ip "::1"/],
    ['--public-ip 1.2.3', /--public-ip "1.2.3"/],
    ['--public-hostname a/b', /--public-hostname "a\/b"/],
    ['--notice 30', /--notice "30": expected a duration/],
    ['--notice-in soon', /--notice-in "soon"/],
    ['--notice-in 25h', /--notice-in "25h"/],
    ['--action explode', /--action "explode": expected terminate/],
  ];
  for (const [line, says] of bad) {
    it(`says in one line what is wrong with ${line}`, () => {
      const flags = parseMetadataFlags(line.split(' '));
      assert.equal(flags.kind, 'problem');
      assert.match(flags.kind === 'problem' ? flags.message : '', says);
      assert.match(flags.kind === 'problem' ? flags.message : '', /^[^\n]+ \(see --help\)$/);
    });
  }
});
