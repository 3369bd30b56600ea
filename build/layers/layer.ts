/** One layer as it is stored and moved: compressed, named by the digest of just these bytes. */
export interface Layer {
  /** `sha256:HEX`. */
  readonly digest: string;
  readonly bytes: number;
  /** The instruction that made it, where the image says; empty otherwise. */
  readonly createdBy: string;
}

/** The layers of one image for one platform, from the bottom up. */
export interface Image {
  /** As the user named it. */
  readonly name: string;
  readonly layers: readonly Layer[];
}

/** Platform of an image, such as `linux/arm64` or `linux/arm/v7`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

/** Reads `OS/ARCHITECTURE[/VARIANT]`; undefined where it is none. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9]+))?$/.exec(text) ?? [];
  return os === undefined || architecture === undefined ? undefined : { os, architecture, variant };
}
