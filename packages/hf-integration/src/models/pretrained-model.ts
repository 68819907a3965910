// PretrainedModel: what every model that fromPretrained gives has: where it runs, where it came from, and saving it.
import { type DType, Module, type Runtime, type Tensor } from '@ao/core';
import type { GenerationConfig } from '../config/generation-config.ts';
import type { ModelConfig } from '../config/model-config.ts';
import type { Json } from '../config/read-json.ts';
import type { SentenceConfig } from '../embed/sentence-config.ts';
import { type DequantizeReport, dequantizeModel, isQuantizedModel } from '../quantize/dequantize-model.ts';
import type { TorchAoConfig } from '../quantize/torchao-config.ts';
import { type SaveOptions, savePretrained } from '../save-pretrained.ts';

/** Where a model came from: what saving and generating need besides the weights. */
export interface Origin {
  readonly folder: string;
  readonly config: ModelConfig;
  readonly generationConfig: GenerationConfig;
  /** What the weights are quantized with. */
  readonly quantization?: TorchAoConfig;
  /** What config.json says otherwise of the part of the folder that this model is. */
  readonly configChanges?: Json;
  /** Where its parts lie, where they are spread over devices. */
  readonly deviceMap?: Readonly<Record<string, string>>;
  /** How it embeds texts, where the folder has the files of sentence-transformers. */
  readonly sentence?: SentenceConfig;
}

export abstract class PretrainedModel extends Module {
  /** A parameter that is never quantized: it tells where, and in what, the model computes. */
  abstract readonly anchor: Tensor;
  origin: Origin | undefined;
  /** Which device each part of the model lies on, '' all of it: as transformers' hf_device_map. */
  get hfDeviceMap(): Readonly<Record<string, string>> {
    return this.origin?.deviceMap ?? { '': this.device };
  }

  get rt(): Runtime {
    return this.anchor.rt;
  }

  /** dtype of activations. */
  get dtype(): DType {
    return this.anchor.dtype;
  }

  get device(): string {
    return this.anchor.device;
  }

  /** True where any weight is quantized. */
  get isQuantized(): boolean {
    return isQuantizedModel(this);
  }

  /** Makes every quantized weight floating point again, in place, packed or not; saving then writes a plain model. */
  async dequantize(): Promise<DequantizeReport> {
    const report = await dequantizeModel(this);
    const { quantization: _, ...origin } = this.origin ?? {};
    if (this.origin) this.origin = origin as Origin;
    return report;
  }

  /** Writes a folder that fromPretrained, and Python's transformers, load. */
  savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    return savePretrained(this, folder, options);
  }
}
