// inspect(name): what a model is made of, from its headers alone: every weight with its scheme, shape and bytes.

import type { Runtime } from '@ao/core';
import { bitsPerWeight, schemeName } from '@ao/quantization';
import { readModelConfig } from '../config/model-config.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { PLAIN, type Stored, storedTensors } from '../files/stored.ts';
import { locateHeaders } from '../hub/locate-headers.ts';
import type { HubOptions } from '../hub/options.ts';
import { familyOf, moduleOf } from '../models/family.ts';
import { planQuantization } from './plan.ts';
import { torchAoConfigFromJson } from './torchao-config.ts';

export interface InspectedModule {
  readonly name: string;
  readonly parameter: string;
  /** 'int4wo-32', or the dtype of what is not quantized. */
  readonly scheme: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** 8 bytes / values: codes, scales and zero points as the file has them. */
  readonly bitsPerWeight: number;
  /** The file's class, where quantized. */
  readonly type?: string;
}

export interface Inspection {
  readonly architecture: string;
  readonly parameters: number;
  readonly bytes: number;
  /** Of all parameters together. */
  readonly bitsPerWeight: number;
  readonly modules: readonly InspectedModule[];
  /** What of another library's checkpoint is not read as it is. */
  readonly notes: readonly string[];
}

export interface InspectOptions extends HubOptions {
  /** Its extensions know configs and kinds that are not of @ao/quantization. */
  readonly runtime?: Runtime;
}

export async function inspect(name: string, options: InspectOptions = {}): Promise<Inspection> {
  const { folder, files } = await locateHeaders(name, options);
  const config = await readModelConfig(folder);
  const outline = familyOf(config).outline(config);
  await using checkpoint = await openCheckpoint(folder, outline, files);
  const stored = storedTensors(checkpoint.tensors);
  const schemes = new Map<string, string>();
  if (config.quantizationConfig) {
    const more = options.runtime ?? [];
    const plan = planQuantization(outline, torchAoConfigFromJson(config.quantizationConfig, config.where, more));
    for (const p of plan.parameters) if (p.config) schemes.set(p.parameter.name, schemeName(p.config, more));
  }
  const shapes = new Map(outline.parameters.map((p) => [p.name, p.shape]));
  const one = (s: Stored): InspectedModule => {
    const quantized = s.type !== PLAIN;
    const shape = shapes.get(s.name) ?? (quantized ? [] : checkpoint.tensors.entry(s.name).shape);
    return {
      name: moduleOf(s.name),
      parameter: s.name,
      scheme: quantized
        ? (schemes.get(s.name) ?? s.type)
        : (DTYPES[checkpoint.tensors.entry(s.name).dtype] ?? checkpoint.tensors.entry(s.name).dtype),
      shape,
      bytes: s.nbytes,
      bitsPerWeight: bitsPerWeight(s.nbytes, shape),
      ...(quantized ? { type: s.type } : {}),
    };
  };
  const order = new Map(outline.parameters.map((p, i) => [p.name, i]));
  const rank = (m: InspectedModule): number => order.get(m.parameter) ?? order.size;
  const modules = [...stored.values()].map(one).sort((a, b) => rank(a) - rank(b));
  const numel = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
  const parameters = modules.reduce((n, m) => n + numel(m.shape), 0);
  const bytes = modules.reduce((n, m) => n + m.bytes, 0);
  return {
    architecture: config.architecture || config.modelType,
    parameters,
    bytes,
    bitsPerWeight: bitsPerWeight(bytes, [parameters]),
    modules,
    notes: checkpoint.notes,
  };
}

const DTYPES: Readonly<Record<string, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };
