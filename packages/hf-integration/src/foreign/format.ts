// A format of another library: how its checkpoints are known by config.json, and what their tensors are in torchao's form.
import type { TensorFile } from '@ao/core';
import type { AoConfig } from '@ao/quantization';
import type { Fields } from '../config/fields.ts';

/** One plain tensor that a foreign one becomes a part of; its bytes are made when they are asked for. */
export interface Part {
  /** As in safetensors files: 'I8', 'F16'. */
  readonly dtype: string;
  readonly shape: readonly number[];
  read(): Promise<Uint8Array>;
}

export interface ForeignTensor {
  /** Of the parameter: 'model.layers.0.mlp.up_proj.weight'. */
  readonly name: string;
  /** The tensors of the file that it is read from. */
  readonly uses: readonly string[];
  /** torchao's metadata; absent where the tensor is a plain one of one part. */
  readonly entry?: Readonly<Record<string, unknown>>;
  /** In the order of the metadata's names. */
  readonly parts: readonly Part[];
  /** What could not be kept as it is, and why. */
  readonly note?: string;
}

export interface ForeignFormat {
  readonly name: string;
  /** True for the `quantization_config` of config.json (MLX: `quantization`) of this format. */
  matches(config: Fields): boolean;
  /** The config of @ao/quantization that comes nearest; throws ERR_AO_CONFIG for variants that cannot be read. */
  quantization(config: Fields): AoConfig;
  /** Every tensor that is not plain already; reads small tensors alone. */
  tensors(file: TensorFile, config: Fields): Promise<readonly ForeignTensor[]>;
}
