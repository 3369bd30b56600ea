import assert from 'node:assert/strict';
import { test } from 'node:test';
import { abstractLeases } from '../../../wrapper/ports/abstract-leases.ts';
import { fixture, WrapperProcess } from './wrapper-process.ts';

test('A storm of wrappers whose games bind late gives every game a port of its own', {
  timeout: 100_000,
}, async (t) => {
  const launches = 60;
  const atOnce = 10;
  const waiting = Array.from({ length: launches }, (_, index) => index);
  const ports = new Set<number>();
  const launch = async (index: number) => {
    // Hardly more ports than wrappers that run at the same time.
    const flags = ['--port', 'SERVER_PORT=udp', '--port-range', '29000-29019'];
    const wrapper = new WrapperProcess(t, flags, fixture('udp-game.ts', '--bind-after', String((index * 37) % 300)));
    await wrapper.said('Game ready');
    ports.add(((await wrapper.said('Ports leased'))['ports'] as Record<string, number>)['SERVER_PORT'] ?? 0);
    wrapper.signal('SIGTERM');
    assert.equal(await wrapper.status(), 3);
  };
  const worker = async () => {
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) await launch(index);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  assert.ok(ports.size > 1 && ports.size <= 20);
  for (let port = 29_000; port < 29_020; port++) {
    const lease = await abstractLeases.take(port);
    assert.ok(lease !== undefined, `port ${port} is still leased`);
    await lease.release();
  }
});
