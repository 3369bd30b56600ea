import { isDeepStrictEqual } from 'node:util';
import { type KubeObject, type ObjectMeta, timestamp } from '../objects.ts';
import { alreadyExists, type Cause, conflict, forbidden, invalid, notFound, Refusal } from '../status-errors.ts';
import type { Store } from '../storage/store.ts';
import { type DeleteOptions, decideDeletion, isReadyToGo } from './deletion.ts';
import { dependentsOf } from './dependents.ts';
import { generatedSuffix, generatedUid, nameRequired, updatedMetadata, validateMetadata } from './metadata.ts';
import type { Resource } from './resource.ts';
import { namespaces, resources } from './table.ts';

export interface WriteOptions {
  /** Answer as if the write had happened, and write nothing. */
  readonly dryRun?: boolean;
}

export interface UpdateOptions extends WriteOptions {
  readonly subresource?: 'status';
}

/** An object as a client sends it: metadata may lack the fields that the server writes. */
export type Draft<T extends KubeObject> = Omit<T, 'metadata' | 'status'> & {
  metadata: Partial<ObjectMeta>;
  status?: unknown;
};

/**
 * The rules for every write, by a client over HTTP or by a controller of the double itself. Throws a `Refusal` with the
 * Status to answer.
 */
export class Registry {
  readonly store: Store;
  readonly now: () => number;
  readonly random: () => number;

  constructor(options: { store: Store; now: () => number; random: () => number }) {
    this.store = options.store;
    this.now = options.now;
    this.random = options.random;
  }

  get<T extends KubeObject>(of: Resource<T>, namespace: string | undefined, name: string): T {
    const found = this.store.get(of, namespace, name);
    if (found === undefined) throw new Refusal(notFound(of, name));
    return found;
  }

  create<T extends KubeObject>(of: Resource<T>, draft: Draft<T>, { dryRun = false }: WriteOptions = {}): T {
    const { generateName, namespace } = draft.metadata;
    const name = draft.metadata.name || (generateName ? generateName + generatedSuffix(this.random) : '');
    if (name === '') throw new Refusal(invalid(of, '', nameRequired));
    if (of.namespaced) this.#refuseClosedNamespace(of, name, namespace ?? '');
    const metadata = this.#newMetadata(of, draft.metadata, name);
    const object = { ...(draft as unknown as T), metadata };
    const prepared = of.strategy.prepareCreate?.(object, this.now()) ?? object;
    this.#refuseInvalid(of, name, [
      ...validateMetadata(metadata, hasSubdomainNames(of)),
      ...(of.strategy.validate?.(prepared) ?? []),
    ]);
    if (this.store.get(of, metadata.namespace, name) !== undefined) throw new Refusal(alreadyExists(of, name));
    return dryRun ? prepared : this.store.put(of, prepared);
  }

  /**
   * `change` computes the wanted state from the current one. Its metadata.resourceVersion and uid are preconditions: a
   * mismatch is a conflict. An update without changes writes nothing.
   */
  update<T extends KubeObject>(
    of: Resource<T>,
    namespace: string | undefined,
    name: string,
    change: (current: T) => T,
    { dryRun = false, subresource }: UpdateOptions = {},
  ): T {
    const current = this.get(of, namespace, name);
    const wanted = change(current);
    refuseConflict(of, wanted.metadata, current.metadata);
    const next = this.#prepareUpdate(of, wanted, current, subresource);
    const causes = of.strategy.validateUpdate?.(next, current) ?? [];
    this.#refuseInvalid(of, name, [...validateMetadata(next.metadata, hasSubdomainNames(of)), ...causes]);
    if (isDeepStrictEqual(next, current)) return current;
    if (dryRun) return next;
    return isReadyToGo(next) ? this.store.remove(of, next) : this.store.put(of, next);
  }

  /** Deletes the object or marks it; `gone` says which. Returns the object to answer with. */
  delete<T extends KubeObject>(
    of: Resource<T>,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions & WriteOptions = {},
  ): { readonly object: T; readonly gone: boolean } {
    const current = this.get(of, namespace, name);
    const decision = decideDeletion(of, current, options, this.now());
    if (decision.kind === 'unchanged') return { object: current, gone: false };
    if (options.dryRun === true) return { object: decision.object, gone: false };
    if (options.propagationPolicy === 'Orphan') this.#orphan(current.metadata.uid);
    if (decision.kind === 'remove') return { object: this.store.remove(of, decision.object), gone: true };
    const marked = this.store.put(of, decision.object);
    // A kubelet may be waiting for this very state: publish it as a separate change before the end.
    if (decision.kind === 'mark-and-remove') return { object: this.store.remove(of, marked), gone: true };
    return { object: marked, gone: false };
  }

  /** Runs before the owner goes: the garbage collector must not find its dependents. */
  #orphan(uid: string): void {
    for (const { of, object } of dependentsOf(this.store, resources, uid)) {
      const { ownerReferences = [], ...metadata } = object.metadata;
      const left = ownerReferences.filter((owner) => owner.uid !== uid);
      const owners = left.length === 0 ? {} : { ownerReferences: left };
      this.store.put(of, { ...object, metadata: { ...metadata, ...owners } });
    }
  }

  #newMetadata(of: Resource<KubeObject>, given: Partial<ObjectMeta>, name: string): ObjectMeta {
    const { resourceVersion, deletionTimestamp, deletionGracePeriodSeconds, namespace, ...kept } = given;
    return {
      ...kept,
      name,
      ...(of.namespaced && namespace !== undefined ? { namespace } : {}),
      uid: generatedUid(this.random),
      resourceVersion: '',
      ...(of.hasGeneration ? { generation: 1 } : {}),
      creationTimestamp: timestamp(this.now()),
    };
  }

  #prepareUpdate<T extends KubeObject>(of: Resource<T>, wanted: T, current: T, subresource: 'status' | undefined): T {
    const metadata = updatedMetadata(wanted.metadata, current.metadata);
    if (subresource === 'status') {
      const status = (wanted as { status?: unknown }).status;
      // Do not take owners from here: old kubelets sent invented ones (registry/core/pod/strategy.go).
      const owners = current.metadata.ownerReferences;
      const { ownerReferences, ...rest } = metadata;
      const kept = owners === undefined ? rest : { ...rest, ownerReferences: owners };
      return { ...current, metadata: kept, ...(status === undefined ? {} : { status }) };
    }
    const next = of.strategy.prepareUpdate?.({ ...wanted, metadata }, current) ?? { ...wanted, metadata };
    if (!of.hasGeneration || isDeepStrictEqual(specOf(next), specOf(current))) return next;
    return { ...next, metadata: { ...metadata, generation: (metadata.generation ?? 0) + 1 } };
  }

  #refuseClosedNamespace(of: Resource<KubeObject>, name: string, namespace: string): void {
    const owner = this.store.get(namespaces, undefined, namespace);
    if (owner === undefined) throw new Refusal(notFound(namespaces, namespace));
    if (owner.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const message = `namespace ${namespace} is being terminated`;
    const cause: Cause = { reason: 'NamespaceTerminating', message, field: 'metadata.namespace' };
    throw new Refusal(forbidden(of, name, why, [cause]));
  }

  #refuseInvalid(of: Resource<KubeObject>, name: string, causes: readonly Cause[]): void {
    if (causes.length === 0) return;
    throw new Refusal(invalid({ group: of.group, kind: of.kind }, name, causes));
  }
}

/** Names of roles and bindings may have colons and capitals. */
function hasSubdomainNames(of: Resource<KubeObject>): boolean {
  return of.group !== 'rbac.authorization.k8s.io';
}

function specOf(object: KubeObject): unknown {
  return (object as { spec?: unknown }).spec;
}

function refuseConflict(of: Resource<KubeObject>, wanted: ObjectMeta, current: ObjectMeta): void {
  const { resourceVersion = '0', uid = '' } = wanted;
  // "0" and an empty version match any.
  if (!['', '0', current.resourceVersion].includes(resourceVersion)) throw new Refusal(conflict(of, current.name));
  if (uid === '' || uid === current.uid) return;
  const key = ['/registry', of.plural, current.namespace, current.name].filter((part) => part !== undefined).join('/');
  const precondition = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.uid}`;
  const cause = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${precondition}`;
  throw new Refusal(conflict(of, current.name, cause));
}
