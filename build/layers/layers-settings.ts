import type { SettingsFor } from '../../shared/settings/read-settings.ts';
import { optional, type Parse, setting, text } from '../../shared/settings/setting.ts';
import { type Platform, parsePlatform } from './layer.ts';

export interface LayersConfig {
  /** From 0 to 1. */
  readonly maxMoved: number | undefined;
  readonly platform: Platform;
  readonly credentials: string | undefined;
}

export const layersSettings: SettingsFor<LayersConfig> = {
  maxMoved: optional(
    { flag: 'max-moved', placeholder: 'N%', help: 'fail when more than this of the new image has to be pulled' },
    percentage,
  ),
  platform: setting(
    { flag: 'platform', placeholder: 'OS/ARCH', help: 'which image of several' },
    platform,
    { os: 'linux', architecture: 'amd64', variant: undefined },
    'linux/amd64',
  ),
  credentials: optional(
    { flag: 'credentials', env: 'REGISTRY_CREDENTIALS', placeholder: 'USER:PASSWORD', help: 'for registries' },
    text,
  ),
};

function percentage(value: string): ReturnType<Parse<number>> {
  const [, digits] = /^(\d{1,3}(?:\.\d+)?)%$/.exec(value) ?? [];
  const share = Number(digits) / 100;
  return share <= 1 ? { value: share } : { expected: 'a percentage from 0% to 100%' };
}

function platform(value: string): ReturnType<Parse<Platform>> {
  const parsed = parsePlatform(value);
  return parsed === undefined ? { expected: 'a platform such as linux/arm64' } : { value: parsed };
}
