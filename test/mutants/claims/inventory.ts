import type { Mutant } from '../mutant.ts';

const view = 'test/unit/inventory/inventory-view.test.ts';

export const inventoryMutants: readonly Mutant[] = [
  {
    claim: 'lease time never goes back',
    file: 'inventory/fold/inventory-view.ts',
    from: 'if (nowMs <= this.#nowMs) return [];',
    to: '',
    test: { file: view, name: 'the lease time never goes back, so that nobody rises again for a clock that does' },
  },
  {
    claim: 'a late message does not bring back a forgotten game server',
    file: 'inventory/fold/inventory-view.ts',
    from: "if (known === undefined && this.#isLongGone(heard, leaseUntilMs(heard))) return { kind: 'late' };",
    to: '',
    test: { file: view, name: 'a message that was stuck for long does not bring back who was forgotten' },
  },
  {
    claim: 'a node with game servers is not forgotten',
    file: 'inventory/fold/inventory-view.ts',
    from: ' || this.#entriesAt(newest.event.data).size > 0) continue;',
    to: ') continue;',
    test: { file: view, name: 'a node without game servers is forgotten in time, one with them is not' },
  },
  {
    claim: 'an event that contradicts a known one is a conflict, not a repeat',
    file: 'inventory/fold/game-server-record.ts',
    from: 'if (known.event.type !== type || !isSameJson(known.event.data, data))',
    to: 'if (known.event.type !== type)',
    test: { file: view, name: 'the same sequence with another content is a conflict' },
  },
  {
    claim: 'a heartbeat that says something new changes its row',
    file: 'inventory/fold/inventory-view.ts',
    from: 'isSameToSee(truth.event.data, entry.truth.event.data);',
    to: 'true;',
    test: {
      file: view,
      name: 'heartbeats that say nothing new are folded without a change, and what they do say is one',
    },
  },
];
