/** Labels and annotations of fleets on pods and Deployments. Agent, wrapper, fleet and manifests use the same names. */

/** `unallocated` in the pod template and the Deployment's selector. `allocated` removes a pod from its ReplicaSet. */
export const allocationLabel = 'spotable.dev/allocation';
/** The Deployment's name, on its pods. */
export const fleetLabel = 'spotable.dev/fleet';
/** Set by Kubernetes on the pods of a ReplicaSet: the version of their template. */
export const templateHashLabel = 'pod-template-hash';

/** The session of an allocated pod. */
export const sessionAnnotation = 'spotable.dev/session-id';
export const allocatedAtAnnotation = 'spotable.dev/allocated-at';
/** The restart count of the pod's containers at its allocation. One more restart ends the session. */
export const allocatedRestartsAnnotation = 'spotable.dev/allocated-restarts';
/** Agones' name for the time of an allocation, which its games read. */
export const agonesLastAllocatedAnnotation = 'agones.dev/last-allocated';

/** Written by the agent: the session that the game server has taken. Empty: it can take a session and has none. */
export const sessionTakenAnnotation = 'spotable.dev/session-taken';
/** Written by the agent: the session after which the game said Ready() again. */
export const sessionOverAnnotation = 'spotable.dev/session-over';

/** Written by the agent for a verified wrapper. */
export const readyCondition = 'spotable.dev/ready';
export const addressAnnotation = 'spotable.dev/address';
/** `spotable.dev/port.NAME: 20001/udp` */
export const portAnnotationPrefix = 'spotable.dev/port.';
export const gameServerIdAnnotation = 'spotable.dev/game-server-id';
export const playersAnnotation = 'spotable.dev/players';
/** `spotable.dev/counter.NAME: 3/10` */
export const counterAnnotationPrefix = 'spotable.dev/counter.';
/** `spotable.dev/list.NAME: {"capacity":10,"values":["a"]}` */
export const listAnnotationPrefix = 'spotable.dev/list.';

/** On a Deployment: labels and annotations, as JSON, for sessions beyond the fleet's replicas. */
export const overflowAnnotation = 'spotable.dev/allocation-overflow';
/** On a Deployment: maximum number of pods, including allocated ones. */
export const maxAnnotation = 'spotable.dev/max';
/** On a Deployment with a maximum: desired number of warm game servers. Its replicas are reduced from there. */
export const warmAnnotation = 'spotable.dev/warm';
/** On a Deployment: `Packed` (default) or `Distributed`, the order in which sessions are marked as overflow. */
export const schedulingAnnotation = 'spotable.dev/scheduling';

/** Prevents the ReplicaSet controller from deleting an allocated pod. */
export const sessionPolicy = 'spotable-fleet-sessions';

export type Allocation = 'unallocated' | 'allocated';
