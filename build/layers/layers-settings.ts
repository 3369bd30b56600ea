import type { SettingsFor } from '../../shared/settings/read-settings.ts';
import { optional, type Parse, setting } from '../../shared/settings/setting.ts';
import { type Platform, parsePlatform } from './layer.ts';

export interface LayersConfig {
  /** From 0 to 1. */
  readonly maxMoved: number | undefined;
  readonly platform: Platform;
}

export const layersSettings: SettingsFor<LayersConfig> = {
  maxMoved: optional(
    { flag: 'max-moved', placeholder: 'N%', help: 'fail if more than this share of the new image must be pulled' },
    percentage,
  ),
  platform: setting(
    { flag: 'platform', placeholder: 'OS/ARCH', help: 'platform, if the image has several' },
    platform,
    { os: 'linux', architecture: 'amd64', variant: undefined },
    'linux/amd64',
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
