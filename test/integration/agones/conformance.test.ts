import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { WrapperProcess } from '../wrapper/wrapper-process.ts';

/** Agones' own clients, built as docs/games.md says. */
const folder = process.env['AGONES_CONFORMANCE'] ?? '/nonexistent';

/** What Agones' own test server begins with: the clients expect it. */
const seed = ['--sdk-counter', 'rooms=1/10', '--sdk-list', 'players=100:test0,test1,test2'];

suite("Agones' conformance client", () => {
  for (const client of ['go', 'restapi'])
    for (const features of ['CountsAndLists=true', 'PlayerTracking=true&CountsAndLists=true']) {
      const path = join(folder, client);
      const skip = !existsSync(path) && 'needs AGONES_CONFORMANCE, a folder with the clients built (see docs/games.md)';
      test(`${client} finds nothing amiss with ${features}`, { skip }, async (t) => {
        const flags = ['--ready', 'sdk', '--port', 'SERVER_PORT=udp', ...seed];
        const wrapper = new WrapperProcess(t, flags, [path], { env: { FEATURE_GATES: features } });
        assert.equal(await wrapper.status(), 0, wrapper.plain.concat(wrapper.output).join('\n'));
      });
    }
});
