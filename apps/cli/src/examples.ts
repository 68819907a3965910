// Examples of each command, shown by its help. A test parses them all and runs those that are quick.
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  quantize: [
    'ao quantize stories-7m --scheme int4wo-32 -o stories-int4',
    "ao quantize stories-7m --scheme int4wo-32 --rule 're:.*down_proj=int8wo' --rule lm_head=int8wo --dry-run",
    'ao quantize stories-7m --scheme intx3-64 --algorithm rotate,gptq --calibration stories.txt --calibration-windows 4 -o stories-3bit',
    'ao quantize stories-7m --target-bpw 4.6 --dry-run',
  ],
  convert: [
    'ao convert stories-7m --dtype float32 -o stories-f32',
    'ao convert stories-7m --max-shard-size 4MB -o stories-shards',
    'ao convert stories-int4 --dequantize -o stories-float',
  ],
  generate: [
    "ao generate stories-7m --prompt 'One day, a little rabbit' --temperature 0.7 --seed 1",
    'ao generate stories-7m --prompt-ids 1,2,3 --max-tokens 16 --scheme int4wo-32 --json',
    "ao generate stories-7m --prompt 'A dog' --prompt 'A cat' --temperature 0",
  ],
  train: [
    'ao train --config-name llama-7m --train-file stories.txt --output-dir stories-new --max-steps 500 --lr 1e-3 --bf16',
    'ao train --config-name stories-7m --train-file stories.txt --validation-file validation.txt --output-dir stories-new --optim adamw_torch_8bit --lr-scheduler-type cosine --warmup-steps 50',
    'ao train --config-name llama-7m --train-file stories.txt --output-dir stories-new --resume-from-checkpoint',
  ],
  finetune: [
    'ao finetune stories-7m --train-file stories.txt --output-dir stories-tuned --lr 1e-4 --num-train-epochs 1',
    'ao finetune HuggingFaceTB/SmolLM2-135M-Instruct --train-file chats.jsonl --output-dir tuned --optim adamw_torch_4bit --gradient-checkpointing',
    'ao finetune stories-7m --qat 8da4w-32 --train-file stories.txt --output-dir stories-8da4w --lr 4e-4 --max-steps 100',
    'ao finetune stories-7m --qlora int4wo-32 --lora-r 16 --train-file answers.jsonl --output-dir stories-adapter',
  ],
  eval: [
    'ao eval stories-7m --text validation.txt --windows 4',
    'ao eval stories-7m --text validation.txt --windows 4 --scheme int4wo-32 --json',
    'ao eval stories-7m --task hellaswag --data hellaswag.jsonl',
  ],
  launch: ['ao launch --nproc 2 train.mjs', 'ao launch --nproc 8 train.mjs -- --steps 100'],
  embed: [
    "ao embed all-MiniLM-L6-v2 'a dog ran' 'the cat sat'",
    "ao embed all-MiniLM-L6-v2 'a dog' --scheme int8wo --json",
  ],
  pull: [
    'ao pull HuggingFaceTB/SmolLM2-135M-Instruct',
    "ao pull HuggingFaceTB/SmolLM2-135M-Instruct --include '*.json' --json",
  ],
  estimate: [
    'ao estimate stories-7m --scheme int4wo-32 --context 2048',
    'ao estimate stories-7m --scheme int8wo --json',
  ],
  chat: ["ao chat stories-7m --system 'You tell stories.'", 'ao chat stories-7m --scheme int8wo --context 512'],
  analyze: [
    'ao analyze stories-7m --text validation.txt --tokens 64 --scheme int4wo-32 --scheme int8wo',
    'ao analyze stories-7m --text validation.txt --kl one -o stories-analysis.json',
  ],
  recommend: [
    'ao recommend stories-7m --memory 1GB --task chat',
    'ao recommend stories-7m --target-bpw 4.6 -o stories-4.6.json',
  ],
  inspect: ['ao inspect stories-7m', 'ao inspect stories-int4 --json'],
  bench: [
    'ao bench stories-7m --scheme int8wo',
    'ao bench stories-7m --prompt-tokens 128 --new-tokens 32 --threads 1 --json',
  ],
  doctor: ['ao doctor', 'ao doctor --json'],
  demo: ['ao demo', 'ao demo --threads 1'],
  completion: ['eval "$(ao completion bash)"', 'ao completion fish > ~/.config/fish/completions/ao.fish'],
};

export const examplesOf = (command: string): readonly string[] => EXAMPLES[command] ?? [];

/** What help shows after the options. */
export function exampleText(command: string): string {
  const lines = examplesOf(command).map((line) => `  ${line}`);
  return lines.length === 0 ? '' : `\nExamples:\n${lines.join('\n')}`;
}
