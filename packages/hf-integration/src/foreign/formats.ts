// foreignFormats: what is read beside torchao's own files; foreignConfig finds the format of a config.json.
import { Fields } from '../config/fields.ts';
import type { Json } from '../config/read-json.ts';
import { awq } from './awq.ts';
import { bitsandbytes } from './bitsandbytes.ts';
import { compressedTensors } from './compressed-tensors.ts';
import type { ForeignFormat } from './format.ts';
import { fp8 } from './fp8.ts';
import { gptq } from './gptq.ts';
import { hqq } from './hqq.ts';
import { mlx } from './mlx.ts';

export const foreignFormats: readonly ForeignFormat[] = /*@__PURE__*/ Object.freeze([
  gptq,
  awq,
  hqq,
  bitsandbytes,
  compressedTensors,
  fp8,
  mlx,
]);

export interface Foreign {
  readonly format: ForeignFormat;
  readonly config: Fields;
}

/** undefined where config.json tells of no quantization, of torchao's, or of an unknown one. */
export function foreignConfig(json: Json, where: string): Foreign | undefined {
  const fields = new Fields(json, where);
  // MLX writes `quantization`, and lately the same as `quantization_config` too
  const config = fields.object('quantization_config') ?? fields.object('quantization');
  if (config === undefined) return undefined;
  const format = foreignFormats.find((f) => f.matches(config));
  return format && { format, config };
}
