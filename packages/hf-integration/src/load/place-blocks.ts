// placeBlocks(): which device each block of a model goes to where there is more than one. In the order in which the model runs, blocks fill
// one device and go on to the next: GPUs first, the cpu last; so an activation changes devices as seldom as can be. Kept free of a device
// are a tenth and twice the largest tensor, for caches, activations and loading, unless maxMemory says what may be used.
import { freemem } from 'node:os';
import { AoError, type Runtime } from '@ao/core';
import type { Outline, ParameterSpec } from '../models/family.ts';
import { deviceName, prefixes } from './device-map.ts';

/** Bytes, or '10GiB', by device; 0 is 'cuda'. */
export type MaxMemory = Readonly<Record<string, number | string>>;

export interface PlacedBlock {
  readonly module: string;
  readonly device: string;
  /** Of its weights in memory; 0 of a tied head. */
  readonly bytes: number;
}

/** Bytes of a parameter as it lies on a device. */
export type SizeOf = (spec: ParameterSpec, device: string) => number;

/** The block of a parameter. */
export function blockOf(parameter: string, { blocks = [] }: Outline): string {
  return prefixes(parameter).findLast((prefix) => blocks.includes(prefix)) ?? '';
}

/** Throws ERR_AO_MEMORY, naming what does not fit, what each device takes and what would help. */
export function placeBlocks(rt: Runtime, outline: Outline, sizeOf: SizeOf, maxMemory: MaxMemory = {}): PlacedBlock[] {
  const limits = new Map(Object.entries(maxMemory).map(([name, size]) => [nameOf(rt, name), bytesOf(name, size)]));
  const largest = (device: string): number => Math.max(0, ...outline.parameters.map((p) => sizeOf(p, device)));
  const devices = candidates(rt, limits);
  const rooms = devices.map((device) => limits.get(device) ?? roomOf(rt, device, largest(device)));
  const owned = new Map<string, ParameterSpec[]>();
  for (const block of outline.blocks ?? ['']) owned.set(block, []);
  for (const p of outline.parameters) owned.get(blockOf(p.name, outline))!.push(p);
  const placed: PlacedBlock[] = [];
  const left = [...rooms];
  let at = 0;
  for (const [module, parameters] of owned) {
    const size = (d: number): number => parameters.reduce((n, p) => n + sizeOf(p, devices[d]!), 0);
    while (at < devices.length && size(at) > left[at]!) at++;
    if (at === devices.length) throw doesNotFit(module, [...owned.keys()], devices, rooms, size(at - 1));
    const bytes = size(at);
    left[at]! -= bytes;
    placed.push({ module, device: devices[at]!, bytes });
  }
  return tiedTogether(placed, outline);
}

/** A tied head lies with its embedding. */
function tiedTogether(placed: readonly PlacedBlock[], outline: Outline): PlacedBlock[] {
  const device = new Map(placed.map((p) => [p.module, p.device]));
  for (const [alias, source] of Object.entries(outline.tied))
    device.set(blockOf(alias, outline), device.get(blockOf(source, outline))!);
  return placed.map((p) => ({ ...p, device: device.get(p.module)! }));
}

/** GPUs, then the cpu; the reference backend only where there is nothing else, or maxMemory names it. */
function candidates(rt: Runtime, limits: ReadonlyMap<string, number>): string[] {
  const rank = (device: string): number => (device === 'reference' ? 2 : device === 'cpu' ? 1 : 0);
  const native = rt.devices.filter((device) => rank(device) < 2);
  const all = native.length === 0 || limits.has('reference') ? rt.devices : native;
  return [...all].sort((a, b) => rank(a) - rank(b));
}

function roomOf(rt: Runtime, device: string, largest: number): number {
  const backend = rt.backend(device);
  const { memoryLimit, gpu } = backend.info() as { memoryLimit?: number; gpu?: { free?: number } };
  const free = gpu?.free ?? freemem();
  const all = Math.min(memoryLimit ?? Number.POSITIVE_INFINITY, free) - backend.memory().live;
  return Math.max(0, all - Math.max(all / 10, 2 * largest));
}

function nameOf(rt: Runtime, name: string): string {
  const device = deviceName(/^\d+$/.test(name) ? Number(name) : name) as string;
  if (rt.devices.includes(device)) return device;
  throw new AoError('ERR_AO_DEVICE', `maxMemory names '${name}', which is no device here`, {
    fix: `use ${rt.devices.join(', ')}`,
  });
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

function bytesOf(name: string, size: number | string): number {
  const [, value = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([KMG]I?B|)$/i.exec(String(size)) ?? [];
  const bytes = Number(value) * UNITS[unit.toUpperCase()]!;
  if (value !== '' && bytes >= 0) return bytes;
  throw new AoError('ERR_AO_CONFIG', `maxMemory['${name}'] is ${JSON.stringify(size)}`, {
    fix: "give bytes, or a size such as '10GiB' or '500MB'",
  });
}

function doesNotFit(
  module: string,
  all: readonly string[],
  devices: readonly string[],
  rooms: readonly number[],
  size: number,
): AoError {
  const more = all.length - all.indexOf(module) - 1;
  const what = `${module || 'the model'} (${megabytes(size)})${more > 0 ? ` and the ${more} blocks behind it` : ''}`;
  const has = devices.map((device, i) => `${device} takes ${megabytes(rooms[i]!)}`).join(', ');
  return new AoError('ERR_AO_MEMORY', `${what} do not fit: ${has}`, {
    fix: 'quantize the model (quantizationConfig), raise maxMemory or the memory limit, or add a device',
  });
}

export const megabytes = (n: number): string => (n < 1e9 ? `${(n / 1e6).toFixed(2)} MB` : `${(n / 1e9).toFixed(2)} GB`);

/** A line for each device: its blocks, and the bytes of their weights. */
export function placementTable(placed: readonly PlacedBlock[]): string {
  const runs: { device: string; first: string; last: string; count: number; bytes: number }[] = [];
  for (const { module, device, bytes } of placed) {
    const run = runs.at(-1);
    if (run?.device === device) Object.assign(run, { last: module, count: run.count + 1, bytes: run.bytes + bytes });
    else runs.push({ device, first: module, last: module, count: 1, bytes });
  }
  const rows = runs.map(({ device, first, last, count, bytes }) => {
    return [device, megabytes(bytes), count === 1 ? first : `${first} to ${last} (${count} blocks)`] as const;
  });
  const widths = [0, 1].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map(([device, size, what]) => `${device.padEnd(widths[0]!)}  ${size.padStart(widths[1]!)}  ${what}`)
    .join('\n');
}
