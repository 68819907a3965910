// `--qat SCHEME`: the model is read rounded while it trains, and quantized for good at the end, in its folder. With `--lora` its weights stay, read
// rounded, adapters train beside them, and what is saved is PEFT's files and, in `base`, the quantized model that they belong to.
import { join } from 'node:path';
import { type CausalLM, torchAoConfig } from '@ao/hf-integration';
import { qat, unload } from '@ao/qat';
import { parseScheme, quantize_ } from '@ao/quantization';
import type { Method } from './method.ts';

export interface QatFlags {
  readonly qat?: string;
}

export const BASE = 'base';

/** The head stays as it is, as where a model is quantized while it loads. */
const options = { rules: [['lm_head', null]], sqnr: false } as const;

export function qatMethod(scheme: string, lora?: Method): Method {
  const config = parseScheme(scheme);
  const saveQuantized = async (model: CausalLM, folder: string): Promise<void> => {
    await quantize_(model, qat(config, { step: 'convert' }), options);
    await model.savePretrained(folder, { quantizationConfig: torchAoConfig(config) });
  };
  return {
    extensions: [qat()],
    load: { trainable: true },
    savesModel: false,
    generators: () => lora?.generators?.() ?? {},
    async prepare(model) {
      await quantize_(model, qat(config, { step: 'prepare' }), options);
      await lora?.prepare(model);
    },
    async save(model, folder, trained) {
      await lora?.save(model, folder, trained);
      if (!trained) return;
      if (lora !== undefined) unload(model);
      await saveQuantized(model, lora === undefined ? folder : join(folder, BASE));
    },
  };
}
