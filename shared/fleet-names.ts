/**
 * What fleets write on pods and Deployments. Agent, wrapper, fleet and manifests read the same names.
 */

/**
 * `unallocated` in the pod template and the Deployment's selector; `allocated` takes a pod out of its ReplicaSet's
 * reach.
 */
export const allocationLabel = 'spotable.dev/allocation';
/** The Deployment's name, on its pods. */
export const fleetLabel = 'spotable.dev/fleet';
/** Kubernetes puts it on the pods of a ReplicaSet: which version of the template they are. */
export const templateHashLabel = 'pod-template-hash';

/** The session that an allocated pod has. */
export const sessionAnnotation = 'spotable.dev/session-id';
export const allocatedAtAnnotation = 'spotable.dev/allocated-at';
/** How often the pod's containers had been started again when it was allocated: one start more ends the session. */
export const allocatedRestartsAnnotation = 'spotable.dev/allocated-restarts';
/** Agones' own name for the instant of an allocation; its games look at it. */
export const agonesLastAllocatedAnnotation = 'agones.dev/last-allocated';

/** Written by the agent: the session that the game server has taken; empty where it can take one and has none. */
export const sessionTakenAnnotation = 'spotable.dev/session-taken';
/** Written by the agent: the session after which the game said Ready() again. */
export const sessionOverAnnotation = 'spotable.dev/session-over';

/** Written by the agent, on the word of a verified wrapper. */
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

/** On a Deployment: labels and annotations for sessions that their fleet has left behind, as JSON. */
export const overflowAnnotation = 'spotable.dev/allocation-overflow';
/** On a Deployment: pods in all, allocated ones included. */
export const maxAnnotation = 'spotable.dev/max';
/** On a Deployment with a maximum: warm game servers that are wanted; its replicas are lowered from there. */
export const warmAnnotation = 'spotable.dev/warm';
/** On a Deployment: `Packed` (default) or `Distributed`, the order in which sessions are marked as overflow. */
export const schedulingAnnotation = 'spotable.dev/scheduling';

/** Refuses to let the ReplicaSet controller delete an allocated pod. */
export const sessionPolicy = 'spotable-fleet-sessions';

export type Allocation = 'unallocated' | 'allocated';
