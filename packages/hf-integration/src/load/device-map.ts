// askedDevices(options, outline): where a model is to lie, from `device` or transformers' `deviceMap`: one device, a device for each block
// (an embedding, a layer, a norm, a head), or wherever there is room. A map gives each module a device by its longest prefix ('' is the
// whole model); a block lies on one device, and a tied head where its embedding is.
import { AoError } from '@ao/core';
import { autoDevices } from '../auto-runtime.ts';
import { moduleOf, type Outline } from '../models/family.ts';

/** 'auto' (wherever there is room), a device, or a device for each module; 0 is 'cuda', 1 'cuda:1'. */
export type DeviceMap = string | number | Readonly<Record<string, string | number>>;

export interface DeviceOptions {
  readonly device?: string;
  readonly deviceMap?: DeviceMap;
  readonly trainable?: boolean;
  readonly runtime?: { readonly devices: readonly string[] };
}

/** Where a model is to lie. */
export type AskedDevices =
  | { readonly how: 'one'; readonly device: string }
  | { readonly how: 'room' }
  /** By block. */
  | { readonly how: 'map'; readonly map: ReadonlyMap<string, string> };

/** transformers' and torch's names: 0 and 'cuda:0' are 'cuda', 1 is 'cuda:1'. */
export function deviceName(name: unknown): unknown {
  if (typeof name === 'number' && Number.isInteger(name) && name >= 0) return name === 0 ? 'cuda' : `cuda:${name}`;
  return name === 'cuda:0' ? 'cuda' : name;
}

type Known = (name: unknown, where: string) => string;

/** Throws ERR_AO_DEVICE for devices that are not there, ERR_AO_CONFIG for modules that are not. */
export function askedDevices({ device, deviceMap, trainable, runtime }: DeviceOptions, outline: Outline): AskedDevices {
  const devices = runtime?.devices ?? autoDevices();
  const known: Known = (given, where) => {
    const name = deviceName(given);
    const further = runtime === undefined && /^cuda:\d+$/.test(String(name));
    if (name === 'auto' || further || devices.includes(name as string)) return name as string;
    throw new AoError('ERR_AO_DEVICE', `${where} is ${JSON.stringify(given)}, which is no device here`, {
      fix: `use one of auto, ${devices.join(', ')}`,
    });
  };
  if (deviceMap === undefined) return { how: 'one', device: device === undefined ? 'auto' : known(device, 'device') };
  const asked = ofMap(deviceMap, outline, known);
  if (device !== undefined && (asked.how !== 'one' || asked.device !== known(device, 'device'))) {
    const means = asked.how === 'one' ? `'${asked.device}'` : 'where there is room, or several';
    throw new AoError('ERR_AO_CONFIG', `device is '${device}' and deviceMap means ${means}`, {
      fix: 'give one of the two',
    });
  }
  if (trainable === true && asked.how === 'map') {
    throw new AoError('ERR_AO_CONFIG', 'deviceMap spreads a model that is to be trained', {
      fix: 'train on one device: gradients do not flow between devices',
    });
  }
  return trainable === true && asked.how === 'room' ? { how: 'one', device: 'auto' } : asked;
}

function ofMap(map: DeviceMap, outline: Outline, known: Known): AskedDevices {
  if (map === 'auto') return { how: 'room' };
  if (typeof map !== 'object') return { how: 'one', device: known(map, 'deviceMap') };
  const names = [...outline.parameters.map((p) => p.name), ...Object.keys(outline.tied)].map(moduleOf);
  const modules = [...new Set(names.flatMap(prefixes))];
  const devices = new Map<string, string>();
  for (const [module, name] of Object.entries(map)) {
    if (!modules.includes(module)) {
      throw new AoError('ERR_AO_CONFIG', `deviceMap names '${module}', which is no module of this model`, {
        fix: `modules are ${some(modules)}; '' is the whole model`,
      });
    }
    devices.set(module, known(name, `deviceMap['${module}']`));
  }
  const place = (name: string): string | undefined =>
    devices.get(prefixes(name).findLast((prefix) => devices.has(prefix)) ?? '');
  const open = names.filter((name) => place(name) === undefined);
  if (open.length > 0) {
    throw new AoError('ERR_AO_CONFIG', `deviceMap gives ${some(open)} no device`, {
      fix: "add '' for the rest: { '': 'cpu' }",
    });
  }
  const all = new Set(names.map((name) => place(name)!));
  const [first, ...others] = all;
  if (others.length === 0) return { how: 'one', device: first! };
  const { blocks } = outline;
  if (blocks === undefined) {
    throw new AoError('ERR_AO_DEVICE', `deviceMap spreads the model over ${[...all].join(' and ')}`, {
      fix: 'only decoders can be spread: give every module of an encoder the same device',
    });
  }
  return { how: 'map', map: ofBlocks(blocks, names, place, outline, devices) };
}

function ofBlocks(
  blocks: readonly string[],
  names: readonly string[],
  place: (name: string) => string | undefined,
  { tied }: Outline,
  devices: ReadonlyMap<string, string>,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const block of blocks) {
    const inside = new Set(names.filter((name) => prefixes(name).includes(block)).map((name) => place(name)!));
    const [device, other] = inside;
    if (other !== undefined) {
      throw new AoError('ERR_AO_CONFIG', `deviceMap splits ${block} over ${device} and ${other}`, {
        fix: `a layer lies on one device: { '${block}': '${device}' }`,
      });
    }
    found.set(block, device!);
  }
  for (const [alias, source] of Object.entries(tied).map(([a, b]) => [moduleOf(a), moduleOf(b)] as const)) {
    const device = found.get(source)!;
    if (devices.has(alias) && found.get(alias) !== device) {
      throw new AoError(
        'ERR_AO_CONFIG',
        `deviceMap puts ${alias} on ${found.get(alias)} and ${source} on ${device}, but they are one tensor`,
        { fix: `give both the same device` },
      );
    }
    found.set(alias, device);
  }
  return found;
}

/** 'a.b.c' -> '', 'a', 'a.b', 'a.b.c'. */
export function prefixes(name: string): string[] {
  const parts = name.split('.');
  return ['', ...parts.map((_, i) => parts.slice(0, i + 1).join('.'))];
}

function some(names: readonly string[]): string {
  const shown = names.filter((name) => name !== '').slice(0, 8);
  return shown.join(', ') + (names.length > shown.length + 1 ? `, and ${names.length - shown.length} more` : '');
}
