// Flags of `ao train` and `ao finetune`, named as transformers' TrainingArguments; defaults are its own unless the text says otherwise.
import { type Command, Option } from 'commander';
import { DEVICES } from '../devices.ts';
import { number } from '../number.ts';

const OPTIMIZERS = ['adamw_torch', 'adamw_torch_8bit', 'adamw_torch_4bit', 'adamw_torch_fp8', 'sgd'];
const FLOAT8_RECIPES = ['tensorwise', 'rowwise', 'rowwise_with_gw_hp'];
const SCHEDULES = [
  'linear',
  'cosine',
  'cosine_with_restarts',
  'polynomial',
  'constant',
  'constant_with_warmup',
  'inverse_sqrt',
];

const collect = (value: string, all: readonly string[] = []): readonly string[] => [...all, value];
const count = number(1, true);
const from0 = number(0, false);

export function trainingFlags(c: Command): Command {
  return c
    .addOption(
      new Option(
        '--train-file <file>',
        'a text, or .jsonl with text, prompt and completion, or messages a line; only answers are learnt of the latter; repeatable',
      )
        .argParser(collect)
        .makeOptionMandatory(),
    )
    .requiredOption('--output-dir <folder>', 'where the model, checkpoints and train-log.jsonl go')
    .option('--validation-file <file>', 'what the loss is measured on; repeatable', collect)
    .option('--overwrite-output-dir', 'write into an output folder that exists')
    .option('--resume-from-checkpoint [folder]', 'go on from this checkpoint-N, or from the last of the output folder')
    .option('--block-size <n>', 'tokens a row (default: 512, or the model’s positions)', count)
    .addOption(new Option('--optim <name>', 'the optimizer').choices(OPTIMIZERS).default('adamw_torch'))
    .option('--lr <rate>', 'learning rate', from0, 5e-5)
    .addOption(new Option('--lr-scheduler-type <name>', 'how it changes').choices(SCHEDULES).default('linear'))
    .option('--warmup-steps <n>', 'steps in which it rises from 0', number(0, true), 0)
    .option('--weight-decay <x>', 'of all but norms and biases', from0, 0)
    .option('--max-grad-norm <x>', 'gradients are scaled down to this norm; 0 = never', from0, 1)
    .option('--per-device-train-batch-size <n>', 'rows at a time', count, 8)
    .option('--gradient-accumulation-steps <n>', 'so many times before each step', count, 1)
    .option('--num-train-epochs <x>', 'how often the data is read', from0, 3)
    .option('--max-steps <n>', 'steps in all, instead of epochs', count)
    .option('--seed <n>', 'of the order of rows, and of new weights', number(0, true), 42)
    .option('--bf16', 'products and attention in bfloat16; weights stay float32')
    .option(
      '--qat <scheme>',
      'train on weights and inputs rounded as this scheme rounds; the quantized model is what is saved',
    )
    .addOption(
      new Option('--float8 <recipe>', 'linears but the last multiply in float8, emulated on the cpu')
        .choices(FLOAT8_RECIPES)
        .conflicts('qat'),
    )
    .option('--gradient-checkpointing', 'less memory, a third more time: layers run again in backward')
    .option('--logging-steps <n>', 'steps a line of the log (default: 10)', count, 10)
    .option('--eval-steps <n>', 'steps between evaluations (default: at the end alone)', count)
    .option('--save-steps <n>', 'steps between checkpoints (default: at the end alone)', count)
    .addOption(new Option('--device <name>', 'where to run').choices(DEVICES).default('auto'))
    .addOption(new Option('--threads <n>', 'CPU threads (default: what the machine grants)').argParser(count))
    .option('--json', 'one JSON object on stdout and nothing else');
}
