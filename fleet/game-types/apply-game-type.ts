/** The fields of a GameType's spec that are used here; its lists have a pod's types. */
export interface GameType {
  readonly name: string;
  readonly image: string;
  readonly wrapper: readonly string[];
  readonly command: readonly string[];
  readonly env: readonly object[];
  readonly volumeMounts: readonly object[];
  readonly volumes: readonly object[];
  readonly initContainers: readonly object[];
  readonly hostNetwork: boolean;
}

export const gameTypeLabel = 'spotable.dev/game-type';
/** Marks a pod that already has everything from its type, so that nothing is added twice. */
export const appliedAnnotation = 'spotable.dev/game-type-applied';

type Fields = Readonly<Record<string, unknown>>;

/** Undefined if the document is not a GameType. Throws an Error if a GameType lacks its required fields. */
export function readGameType(document: unknown): GameType | undefined {
  const { apiVersion, kind, metadata, spec } = Object(document) as Record<string, Fields | undefined>;
  if (String(apiVersion) !== 'spotable.dev/v1' || String(kind) !== 'GameType') return undefined;
  const { image, wrapper, command, env, volumeMounts, volumes, initContainers, hostNetwork } = (spec ?? {}) as Fields;
  const name = metadata?.['name'];
  if (typeof name !== 'string' || typeof image !== 'string' || !Array.isArray(command))
    throw new Error(`Invalid GameType ${String(name)}: expected a name, an image and a command`);
  return {
    ...{ name, image, command, hostNetwork: hostNetwork === true },
    wrapper: list(wrapper),
    env: list(env),
    volumeMounts: list(volumeMounts),
    volumes: list(volumes),
    initContainers: list(initContainers),
  };
}

/**
 * Adds the type's fields to a Pod, or to an object with a pod template, as the mutating admission policy does to a pod.
 * Returns an object without a type unchanged; throws an Error if the type is unknown.
 */
export function applyGameType(object: unknown, types: ReadonlyMap<string, GameType>): unknown {
  const { kind, spec } = Object(object) as { kind?: string; spec?: { template?: unknown } };
  if (kind === 'Pod') return applyToPod(object as Fields, types);
  const template = spec?.template;
  if (typeof template !== 'object' || template === null) return object;
  return { ...(object as Fields), spec: { ...spec, template: applyToPod(template as Fields, types) } };
}

function applyToPod(pod: Fields, types: ReadonlyMap<string, GameType>): Fields {
  const metadata = (pod['metadata'] ?? {}) as { labels?: Record<string, string>; annotations?: Record<string, string> };
  const name = metadata.labels?.[gameTypeLabel];
  if (name === undefined || metadata.annotations?.[appliedAnnotation] !== undefined) return pod;
  const type = types.get(name);
  if (type === undefined) throw new Error(`No GameType ${name}: there are ${[...types.keys()].join(', ') || 'none'}`);
  const spec = (pod['spec'] ?? {}) as Fields;
  const [first = { name: 'game' }, ...others] = list(spec['containers']) as readonly Fields[];
  const game = {
    ...first,
    image: type.image,
    command: type.wrapper.length > 0 ? [...type.wrapper, '--'] : [],
    args: type.command,
    env: [...list(first['env']), ...type.env],
    volumeMounts: [...list(first['volumeMounts']), ...type.volumeMounts],
  };
  return {
    ...pod,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [appliedAnnotation]: name } },
    spec: {
      ...spec,
      ...(type.hostNetwork && { hostNetwork: true }),
      containers: [game, ...others],
      initContainers: [...list(spec['initContainers']), ...type.initContainers],
      volumes: [...list(spec['volumes']), ...type.volumes],
    },
  };
}

function list<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? value : [];
}
