// ao train and ao finetune: small models on the reference backend and the cpu, resumed, interrupted, and wrong use.
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UsageError } from '../src/exit.ts';
import { program } from '../src/main.ts';
import { checkpointFolder } from '../src/training/checkpoints.ts';
import { json, start } from './run.ts';

const stories = fileURLToPath(new URL('../../stories-7m/validation.txt', import.meta.url));
let folder = '';
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ao-train-test-'));
  const text = await readFile(stories, 'utf8');
  await writeFile(at('train.txt'), text.slice(0, 20_000));
  await writeFile(at('valid.txt'), text.slice(-3000));
  const lines = ['a cat', 'a dog', 'the sun'].map((x) =>
    JSON.stringify({ prompt: `Tell of ${x}:`, completion: ` ${x} ran.` }),
  );
  await writeFile(at('answers.jsonl'), lines.join('\n'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const preset = [
  'train',
  '--config-name',
  'llama-1m',
  '--block-size',
  '32',
  '--per-device-train-batch-size',
  '2',
  '--lr',
  '1e-3',
];
const weights = (name: string): Promise<Buffer> => readFile(join(at(name), 'model.safetensors'));

test('train in float8: a log, checkpoints, and a resumed run that ends in the same bytes', async () => {
  const args = [...preset, '--train-file', at('train.txt'), '--logging-steps', '2', '--optim', 'adamw_torch_8bit'];
  args.push('--float8', 'tensorwise');
  const more = ['--max-steps', '6', '--warmup-steps', '2', '--lr-scheduler-type', 'cosine', '--save-steps', '3'];
  const whole = await json(...args, ...more, '--output-dir', at('whole'), '--validation-file', at('valid.txt'));
  expect(whole).toMatchObject({ step: 6, tokens: 6 * 2 * 32, aborted: false, outputDir: at('whole') });
  expect(whole['evalLoss']).toBeGreaterThan(0);
  // 8-bit moments: well below the 8 bytes a parameter of float32 ones
  expect(whole['optimizerStateBytes']).toBeLessThan(3 * 1.4e6);
  const log = (await readFile(join(at('whole'), 'train-log.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l));
  expect(log.map((l) => l.step)).toEqual([1, 2, 4, 6, 6]);
  expect(log[3].loss).toBeLessThan(log[0].loss - 0.1);
  expect(Object.keys(log[0])).toEqual([
    'step',
    'epoch',
    'loss',
    'grad_norm',
    'learning_rate',
    'tokens_per_second',
    'tokens',
  ]);
  const half = join(at('whole'), 'checkpoint-3');
  const resumed = await json(...args, ...more, '--output-dir', at('half'), '--resume-from-checkpoint', half);
  expect(resumed).toMatchObject({ step: 6, loss: log[3].loss });
  expect((await weights('half')).equals(await weights('whole'))).toBe(true);
  expect(await checkpointFolder(true, at('whole'))).toBe(join(at('whole'), 'checkpoint-6'));
});

test('finetune: answers alone are learnt, in bfloat16, with layers that run again', async () => {
  const args = ['finetune', 'stories-7m', '--train-file', at('answers.jsonl'), '--output-dir', at('tuned')];
  const few = ['--block-size', '24', '--num-train-epochs', '2', '--per-device-train-batch-size', '3', '--lr', '1e-3'];
  const result = await json(...args, ...few, '--bf16', '--gradient-checkpointing', '--logging-steps', '1');
  expect(result).toMatchObject({ step: 2, position: 6, aborted: false });
  const answers = (await readFile(join(at('tuned'), 'train-log.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l));
  // far fewer than 6 rows of 24
  expect(answers[1].tokens).toBeLessThan(60);
  expect(answers[1].loss).toBeLessThan(answers[0].loss);
});

test('finetune --qlora: PEFT\u2019s files, small, and the same after a resumption', async () => {
  const args = ['finetune', 'stories-7m', '--train-file', at('answers.jsonl'), '--qlora', 'int4wo-32', '--lora-r', '4'];
  const more = [
    '--block-size',
    '24',
    '--per-device-train-batch-size',
    '3',
    '--max-steps',
    '4',
    '--lr',
    '1e-2',
    '--save-steps',
    '2',
  ];
  const result = await json(...args, ...more, '--output-dir', at('adapter'));
  expect(result['loss']).toBeLessThan(4);
  const resumed = ['--resume-from-checkpoint', join(at('adapter'), 'checkpoint-2')];
  expect(await json(...args, ...more, '--output-dir', at('again'), ...resumed)).toMatchObject({ step: 4 });
  const [whole, again] = await Promise.all(
    ['adapter', 'again'].map((name) => readFile(join(at(name), 'adapter_model.safetensors'))),
  );
  expect(again!.equals(whole!)).toBe(true);
  expect(whole!.length).toBeLessThan(1e6);
  const config = JSON.parse(await readFile(join(at('adapter'), 'adapter_config.json'), 'utf8'));
  expect(config).toMatchObject({ peft_type: 'LORA', r: 4, lora_alpha: 16 });
});

test('--qat: what is trained read rounded is saved quantized, and the same after a resumption', async () => {
  const args = [...preset, '--train-file', at('train.txt'), '--qat', 'intx4-32', '--logging-steps', '1'];
  const more = ['--max-steps', '4', '--save-steps', '2'];
  await json(...args, ...more, '--output-dir', at('qat'));
  const half = ['--resume-from-checkpoint', join(at('qat'), 'checkpoint-2')];
  expect(await json(...args, ...more, '--output-dir', at('qat2'), ...half)).toMatchObject({ step: 4 });
  expect((await weights('qat2')).equals(await weights('qat'))).toBe(true);
  const { quantization_config: q } = JSON.parse(await readFile(join(at('qat'), 'config.json'), 'utf8'));
  expect(q.quant_type.default._type).toBe('IntxWeightOnlyConfig');
  expect((await weights('qat')).includes('layers.0.self_attn.q_proj._weight_qdata')).toBe(true);
});

test('finetune --qat --lora: adapters over a rounded base, and the base quantized beside them', async () => {
  const args = [
    'finetune',
    'stories-7m',
    '--train-file',
    at('answers.jsonl'),
    '--qat',
    '8da4w-32',
    '--lora',
    '--lora-r',
    '4',
    '--lora-dropout',
    '0.1',
  ];
  const more = [
    '--block-size',
    '24',
    '--per-device-train-batch-size',
    '3',
    '--max-steps',
    '2',
    '--lr',
    '1e-2',
    '--save-steps',
    '1',
    '--gradient-checkpointing',
  ];
  const result = await json(...args, ...more, '--output-dir', at('both'), '--logging-steps', '1');
  expect(result['loss']).toBeLessThan(4);
  const half = ['--resume-from-checkpoint', join(at('both'), 'checkpoint-1')];
  await json(...args, ...more, '--output-dir', at('both2'), ...half);
  const files = ['both', 'both2'].map((name) => readFile(join(at(name), 'adapter_model.safetensors')));
  const [whole, again] = await Promise.all(files);
  expect(again!.equals(whole!)).toBe(true);
  const config = JSON.parse(await readFile(join(at('both'), 'adapter_config.json'), 'utf8'));
  expect(config).toMatchObject({ r: 4, base_model_name_or_path: join(at('both'), 'base') });
  // the base did not train
  expect((await weights('both/base')).includes('layers.0.self_attn.q_proj._weight_qdata')).toBe(true);
  expect((await weights('both2/base')).equals(await weights('both/base'))).toBe(true);
});

test('an interruption ends after its step, saves, and says how to go on', async () => {
  const args = [
    ...preset,
    '--train-file',
    at('train.txt'),
    '--output-dir',
    at('cut'),
    '--max-steps',
    '5000',
    '--logging-steps',
    '1',
  ];
  const { child, ran } = start(args);
  await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()));
  child.kill('SIGINT');
  const { code, stdout } = await ran;
  expect(code).toBe(130);
  const [, step] =
    /stopped after step (\d+); the same command with --resume-from-checkpoint goes on/.exec(stdout) ?? [];
  expect(existsSync(join(at('cut'), `checkpoint-${step}`, 'training.safetensors'))).toBe(true);
  expect(existsSync(join(at('cut'), 'model.safetensors'))).toBe(false);
});

describe('wrong use is told before any work', () => {
  const missing = 'nowhere/checkpoint-3';
  test.each([
    [true, /required option '--output-dir <folder>' not specified/, () => ['--train-file', at('train.txt')]],
    [true, /required option '--train-file <file>' not specified/, () => ['--output-dir', at('x')]],
    [
      true,
      /--train-file .*absent.txt cannot be read/,
      () => ['--train-file', at('absent.txt'), '--output-dir', at('x')],
    ],
    [true, /line 1 is none of \{"text"\}/, () => ['--train-file', at('wrong.jsonl'), '--output-dir', at('x')]],
    [
      true,
      /mixes prompt and text: give one kind/,
      () => ['--train-file', at('answers.jsonl'), '--train-file', at('train.txt'), '--output-dir', at('x')],
    ],
    [
      true,
      /argument 'adamw' is invalid. Allowed choices are adamw_torch,/,
      () => ['--train-file', at('train.txt'), '--output-dir', at('x'), '--optim', 'adamw'],
    ],
    [
      true,
      /--resume-from-checkpoint .* has no training.safetensors/,
      () => ['--train-file', at('train.txt'), '--output-dir', at('x'), '--resume-from-checkpoint', missing],
    ],
    [
      true,
      /exists: give another, --overwrite-output-dir or/,
      () => ['--train-file', at('train.txt'), '--output-dir', folder],
    ],
    [
      false,
      /rows of 1000 tokens; the model has 512 positions/,
      () => ['--train-file', at('train.txt'), '--output-dir', at('x'), '--block-size', '1000'],
    ],
    [
      false,
      /schedule 'linear': 30 warm-up steps of 20/,
      () => ['--train-file', at('train.txt'), '--output-dir', at('x'), '--warmup-steps', '30', '--max-steps', '20'],
    ],
  ] as const)('%s %s', async (usage, message, args) => {
    await writeFile(at('wrong.jsonl'), '{"question": 1}\n');
    const told: string[] = [];
    const command = program();
    for (const c of command.commands) c.configureOutput({ outputError: (text) => void told.push(text) });
    const error: Error = await command
      .parseAsync(['train', '--config-name', 'llama-1m', ...args()], { from: 'user' })
      .then(
        () => new Error('nothing was refused'),
        (e) => e,
      );
    expect([...told, error.message].join()).toMatch(message);
    expect(error instanceof UsageError || error instanceof CommanderError).toBe(usage);
    expect(existsSync(at('x'))).toBe(false);
  });
});
