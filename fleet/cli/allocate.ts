import { exitStatus, FatalError } from '../../shared/exit-status.ts';
import { sessionAnnotation } from '../../shared/fleet-names.ts';
import { allocationResponse } from '../agones/allocation-response.ts';
import { readAllocationDocument } from '../agones/read-request.ts';
import { type AllocationRequest, anyGameServer } from '../allocation/allocation-request.ts';
import type { AllocationFailure, AllocationOutcome } from '../allocation/allocator.ts';
import type { NodeView } from '../cluster/node-view.ts';
import type { AllocateConfig } from './commands.ts';
import { readDocuments } from './read-documents.ts';
import type { Shown } from './show.ts';
import { tableLines } from './text.ts';

/** The request from the flags, or from the file that they name. Rejects with a FatalError or a RequestError. */
export async function requestOf(
  config: AllocateConfig,
  selectors: readonly Readonly<Record<string, string>>[],
): Promise<AllocationRequest> {
  const { file, namespace, session, label, annotation, scheduling } = config;
  if (file !== undefined) {
    const [document] = await readDocuments(file);
    const { request } = readAllocationDocument(document, namespace);
    return session === undefined ? request : { ...request, sessionId: session };
  }
  const spec = {
    selectors: selectors.map((matchLabels) => ({ matchLabels })),
    scheduling,
    metadata: {
      labels: Object.fromEntries(label),
      annotations: {
        ...Object.fromEntries(annotation),
        ...(session !== undefined && { [sessionAnnotation]: session }),
      },
    },
  };
  const document = { apiVersion: 'allocation.agones.dev/v1', kind: 'GameServerAllocation', spec };
  const { request } = readAllocationDocument(document, namespace);
  return request.selectors.length > 0 ? request : { ...request, selectors: [anyGameServer] };
}

/** Throws a FatalError if there is no game server. */
export function showAllocation(outcome: AllocationOutcome, node: (name: string) => NodeView | undefined): Shown {
  if (outcome.kind !== 'allocated') throw failureOf(outcome);
  const { pod, sessionId } = outcome;
  const response = allocationResponse(pod, node(pod.nodeName ?? ''));
  return {
    json: { ...response, session: sessionId },
    lines: () =>
      tableLines(
        ['GAME SERVER', 'ADDRESS', 'PORTS', 'NODE', 'SESSION'],
        [
          [
            response.gameServerName,
            response.address,
            response.ports.map(({ name, port }) => `${name}=${port}`).join(' ') || '-',
            response.nodeName,
            sessionId,
          ],
        ],
      ),
  };
}

function failureOf(outcome: AllocationFailure): FatalError {
  const status = exitStatus.temporaryFailure;
  switch (outcome.kind) {
    case 'none':
      return new FatalError('No game server fits', { status });
    case 'contention':
      return new FatalError('Others took every game server that fits', { status });
    case 'ended':
      return new FatalError('The session of this id is over', { status: exitStatus.unavailable });
    case 'unavailable':
      return new FatalError(`Cannot allocate: ${outcome.reason}`, { status });
  }
}
