import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SessionTokens } from '../../../sandbox/metadata/session-tokens.ts';

function tokensAt(startMs: number): { tokens: SessionTokens; clock: { nowMs: number } } {
  const clock = { nowMs: startMs };
  return { tokens: new SessionTokens(() => clock.nowMs), clock };
}

describe('SessionTokens', () => {
  for (const ttl of ['', '0', '21601', '-1', '1.5', '1e3', '0x10', ' 60', '60 ', '60, 60', 'six', '9'.repeat(40)]) {
    it(`give no token for a TTL of ${JSON.stringify(ttl)}`, () =>
      assert.equal(tokensAt(0).tokens.issue(ttl), undefined));
  }

  it('live exactly as long as their TTL', () => {
    for (const ttl of ['1', '60', '21600']) {
      const { tokens, clock } = tokensAt(1_000_000);
      const { token, ttlSeconds } = tokens.issue(ttl) ?? assert.fail();
      assert.equal(ttlSeconds, Number(ttl));
      assert.equal(tokens.secondsLeft(token), Number(ttl));
      clock.nowMs += Number(ttl) * 1_000 - 1;
      assert.equal(tokens.secondsLeft(token), 1);
      clock.nowMs += 1;
      assert.equal(tokens.secondsLeft(token), undefined);
    }
  });

  it('look like those of EC2 and differ', () => {
    const { tokens } = tokensAt(0);
    const issued = Array.from({ length: 50 }, () => tokens.issue('60')?.token ?? '');
    assert.equal(new Set(issued).size, 50);
    for (const token of issued) assert.match(token, /^[\w-]{54}==$/);
  });

  it('end sooner than they promised while their life is limited', () => {
    const { tokens, clock } = tokensAt(0);
    tokens.limitLife(500);
    const { token, ttlSeconds } = tokens.issue('21600') ?? assert.fail();
    assert.equal(ttlSeconds, 21_600);
    clock.nowMs = 499;
    assert.equal(tokens.secondsLeft(token), 1);
    clock.nowMs = 500;
    assert.equal(tokens.secondsLeft(token), undefined);
  });

  it('end at once when all are revoked', () => {
    const { tokens } = tokensAt(0);
    const token = tokens.issue('60')?.token ?? '';
    tokens.revokeAll();
    assert.equal(tokens.secondsLeft(token), undefined);
  });

  it('are forgotten beyond ten thousand, the expired ones first and then the oldest', () => {
    const { tokens, clock } = tokensAt(0);
    const oldest = tokens.issue('21600')?.token ?? '';
    const brief = tokens.issue('1')?.token ?? '';
    for (let issued = 2; issued < 10_000; issued += 1) tokens.issue('21600');
    clock.nowMs = 1_000;
    tokens.issue('60');
    assert.notEqual(tokens.secondsLeft(oldest), undefined);
    assert.equal(tokens.secondsLeft(brief), undefined);
    tokens.issue('60');
    assert.equal(tokens.secondsLeft(oldest), undefined);
  });
});
