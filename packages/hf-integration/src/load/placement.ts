// placement(): where the blocks of a model lie: on one device, as a map says, or where there is room. What is spread is told.
import type { DType, Runtime } from '@ao/core';
import type { AoConfig } from '@ao/quantization';
import type { Outline, ParameterSpec } from '../models/family.ts';
import { memoryOf } from '../quantize/memory-of.ts';
import type { AskedDevices } from './device-map.ts';
import { blockOf, type MaxMemory, type PlacedBlock, placeBlocks, placementTable, type SizeOf } from './place-blocks.ts';

export interface PlacementInputs {
  readonly maxMemory: MaxMemory | undefined;
  /** dtype of activations. */
  readonly dtype: DType;
  /** What parameters are quantized with on the way. */
  readonly configs: ReadonlyMap<string, AoConfig | null> | undefined;
  /** A parameter in the file; its dtype where it is plain. */
  stored(name: string): { readonly nbytes: number; readonly dtype: string | undefined };
}

export interface Placement {
  /** By block, where they are spread: what `hfDeviceMap` gives. */
  readonly deviceMap: Readonly<Record<string, string>> | undefined;
  deviceOf(block: string): string;
}

/** Throws ERR_AO_MEMORY where a model that may lie anywhere fits nowhere. */
export function placement(rt: Runtime, asked: AskedDevices, outline: Outline, inputs: PlacementInputs): Placement {
  const one = (device: string): Placement => ({ deviceMap: undefined, deviceOf: () => device });
  const named = (device: string): string => (device === 'auto' ? rt.device : device);
  if (asked.how === 'one') return one(named(asked.device));
  const sizeOf = sizes(rt, inputs);
  let placed: PlacedBlock[];
  if (asked.how === 'map') {
    const bytes = new Map<string, number>();
    const device = (block: string): string => named(asked.map.get(block)!);
    for (const p of outline.parameters) {
      const block = blockOf(p.name, outline);
      bytes.set(block, (bytes.get(block) ?? 0) + sizeOf(p, device(block)));
    }
    placed = [...asked.map.keys()].map((module) => ({ module, device: device(module), bytes: bytes.get(module) ?? 0 }));
  } else {
    const alone = rt.devices.filter((device) => device !== 'reference').length < 2;
    if (alone && inputs.maxMemory === undefined) return one(rt.device);
    placed = placeBlocks(rt, outline, sizeOf, inputs.maxMemory);
  }
  const deviceMap = Object.fromEntries(placed.map(({ module, device }) => [module, device]));
  const [first, ...others] = new Set(placed.map((p) => p.device));
  if (others.length === 0) return one(first!);
  const level = asked.how === 'map' ? 'info' : 'warn';
  const why =
    asked.how === 'map' ? 'as deviceMap says' : `what ${first} has no room for lies on ${others.join(' and ')}`;
  const message = `${why}:\n${placementTable(placed)}`;
  rt.say({ level, code: 'device-map', message }, message);
  return { deviceMap, deviceOf: (block) => deviceMap[block]! };
}

function sizes(rt: Runtime, { dtype, configs, stored }: PlacementInputs): SizeOf {
  const measures = new Map<string, ReturnType<typeof memoryOf>>();
  return (spec: ParameterSpec, device: string): number => {
    const file = stored(spec.name);
    if (file.dtype === undefined) return file.nbytes;
    if (!measures.has(device)) measures.set(device, memoryOf(rt, device));
    return measures.get(device)!(spec, { stored: file.dtype, dtype, config: configs?.get(spec.name) ?? null });
  };
}
