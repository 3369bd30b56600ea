import { eventMutants } from './claims/events.ts';
import { inventoryMutants } from './claims/inventory.ts';
import type { Mutant } from './mutant.ts';

export const mutants: readonly Mutant[] = [...eventMutants, ...inventoryMutants];
