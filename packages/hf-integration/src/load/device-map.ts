// deviceOf(options, outline): the one device of a model, from `device` or transformers' `deviceMap`. A map gives each module a
// device by its longest prefix ('' is the whole model); for now all must be the same one.
import { AoError } from '@ao/core';
import { autoDevices } from '../auto-runtime.ts';
import { moduleOf, type Outline } from '../models/family.ts';

/** 'auto', a device, or a device for each module. */
export type DeviceMap = string | Readonly<Record<string, string>>;

export interface DeviceOptions {
  readonly device?: string;
  readonly deviceMap?: DeviceMap;
  readonly runtime?: { readonly devices: readonly string[] };
}

/** 'auto' or a name; throws ERR_AO_DEVICE for devices that are not there, ERR_AO_CONFIG for modules that are not. */
export function deviceOf({ device, deviceMap, runtime }: DeviceOptions, outline: Outline): string {
  const devices = runtime?.devices ?? autoDevices();
  const known = (name: unknown, where: string): string => {
    if (name === 'auto' || devices.includes(name as string)) return name as string;
    throw new AoError('ERR_AO_DEVICE', `${where} is ${JSON.stringify(name)}, which is no device here`, {
      fix: `use one of auto, ${devices.join(', ')}`,
    });
  };
  if (deviceMap === undefined) return device === undefined ? 'auto' : known(device, 'device');
  const mapped = typeof deviceMap === 'string' ? known(deviceMap, 'deviceMap') : ofMap(deviceMap, outline, known);
  if (device === undefined || device === mapped) return mapped;
  throw new AoError('ERR_AO_CONFIG', `device is '${device}' and deviceMap means '${mapped}'`, {
    fix: 'give one of the two',
  });
}

function ofMap(
  map: Readonly<Record<string, string>>,
  outline: Outline,
  known: (name: unknown, where: string) => string,
): string {
  const names = [...outline.parameters.map((p) => p.name), ...Object.keys(outline.tied)].map(moduleOf);
  const modules = [...new Set(names.flatMap(prefixes))];
  const entries = Object.entries(map).map(([module, name]) => {
    if (modules.includes(module)) return [module, known(name, `deviceMap['${module}']`)] as const;
    throw new AoError('ERR_AO_CONFIG', `deviceMap names '${module}', which is no module of this model`, {
      fix: `modules are ${some(modules)}; '' is the whole model`,
    });
  });
  const covered = (name: string): boolean => prefixes(name).some((prefix) => Object.hasOwn(map, prefix));
  const open = names.filter((name) => !covered(name));
  if (open.length > 0) {
    throw new AoError('ERR_AO_CONFIG', `deviceMap gives ${some(open)} no device`, {
      fix: "add '' for the rest: { '': 'cpu' }",
    });
  }
  const [first, ...others] = new Set(entries.map(([, name]) => name));
  if (first !== undefined && others.length === 0) return first;
  throw new AoError('ERR_AO_DEVICE', `deviceMap spreads the model over ${[first, ...others].join(' and ')}`, {
    fix: 'a model runs on one device for now: give every module the same one',
  });
}

/** 'a.b.c' -> '', 'a', 'a.b', 'a.b.c'. */
function prefixes(name: string): string[] {
  const parts = name.split('.');
  return ['', ...parts.map((_, i) => parts.slice(0, i + 1).join('.'))];
}

function some(names: readonly string[]): string {
  const shown = names.filter((name) => name !== '').slice(0, 8);
  return shown.join(', ') + (names.length > shown.length + 1 ? `, and ${names.length - shown.length} more` : '');
}
