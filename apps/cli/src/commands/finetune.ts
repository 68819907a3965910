// ao finetune: a model trained on, on texts, instructions or conversations: all its weights, or adapters beside them, read rounded or not.
import { join } from 'node:path';
import { AutoModelForCausalLM } from '@ao/hf-integration';
import { modelFolder } from '../model-folder.ts';
import { progress } from '../progress.ts';
import { asksForLora, checkLoraFlags, type LoraFlags, loraMethod } from '../training/lora.ts';
import { full } from '../training/method.ts';
import type { TrainingOptions } from '../training/options.ts';
import { BASE, type QatFlags, qatMethod } from '../training/qat.ts';
import { runTraining } from '../training/run.ts';

export async function finetune(name: string, options: TrainingOptions & LoraFlags & QatFlags): Promise<void> {
  checkLoraFlags(options);
  const bar = await progress();
  const folder = await modelFolder(name, bar.update).finally(bar.stop);
  const base = options.qat === undefined ? name : join(options.outputDir, BASE);
  const lora = asksForLora(options) ? loraMethod(options, options.seed, base) : undefined;
  const method = options.qat === undefined ? (lora ?? full) : qatMethod(options.qat, lora);
  await runTraining(
    {
      method,
      tokenizer: folder,
      open: (runtime, checkpoint) =>
        AutoModelForCausalLM.fromPretrained(checkpoint ?? folder, { runtime, dtype: 'float32', ...method.load }),
    },
    options,
  );
}
