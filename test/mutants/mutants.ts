import { drainMutants } from './claims/drain.ts';
import { eventMutants } from './claims/events.ts';
import { fanoutMutants } from './claims/fanout.ts';
import { inventoryMutants } from './claims/inventory.ts';
import { kubernetesMutants } from './claims/kubernetes.ts';
import { noticeMutants } from './claims/notices.ts';
import { sharedMutants } from './claims/shared.ts';
import { wrapperMutants } from './claims/wrapper.ts';
import type { Mutant } from './mutant.ts';

export const mutants: readonly Mutant[] = [
  ...drainMutants,
  ...eventMutants,
  ...fanoutMutants,
  ...inventoryMutants,
  ...kubernetesMutants,
  ...noticeMutants,
  ...sharedMutants,
  ...wrapperMutants,
];
