/** A layer as it is stored and pulled: compressed, with the digest of these bytes. */
export interface Layer {
  /** `sha256:HEX`. */
  readonly digest: string;
  readonly bytes: number;
  /** The instruction that created it; empty: unknown. */
  readonly createdBy: string;
}

/** The layers of one image for one platform, from the bottom up. */
export interface Image {
  /** As the user named it. */
  readonly name: string;
  readonly layers: readonly Layer[];
}

/** Such as `linux/arm64` or `linux/arm/v7`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

/** Parses `OS/ARCHITECTURE[/VARIANT]`; undefined: malformed. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9]+))?$/.exec(text) ?? [];
  return os === undefined || architecture === undefined ? undefined : { os, architecture, variant };
}
