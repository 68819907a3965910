// ao finetune: a model trained on, on texts or on instructions.
import { AutoModelForCausalLM } from '@ao/hf-integration';
import { modelFolder } from '../model-folder.ts';
import { progress } from '../progress.ts';
import { full } from '../training/method.ts';
import type { TrainingOptions } from '../training/options.ts';
import { runTraining } from '../training/run.ts';

export async function finetune(name: string, options: TrainingOptions): Promise<void> {
  const bar = await progress();
  const folder = await modelFolder(name, bar.update).finally(bar.stop);
  const method = full;
  await runTraining(
    {
      method,
      tokenizer: folder,
      open: (runtime, checkpoint) =>
        AutoModelForCausalLM.fromPretrained(checkpoint ?? folder, {
          runtime,
          dtype: 'float32',
          trainable: true,
          ...method.load,
        }),
    },
    options,
  );
}
