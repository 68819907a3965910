// The run of `ao train` and `ao finetune`: data, model, optimizer and schedule put together, the loop, its log and its checkpoints.
import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bfloat16, type Runtime } from '@ao/core';
import { autograd, trainableParameters } from '@ao/core/autograd';
import { convertToFloat8Training, float8Training, withFloatWeights } from '@ao/float8';
import { AutoTokenizer, autoRuntime, type CausalLM } from '@ao/hf-integration';
import { getScheduler, optim } from '@ao/optim';
import { gradientCheckpointing, type TrainLog, type TrainResult, train } from '@ao/train';
import { EXIT, interruptSignal, UsageError } from '../exit.ts';
import { log } from '../log.ts';
import { setThreads } from '../open-model.ts';
import { bytes, print, printJson, rate } from '../output.ts';
import { progress } from '../progress.ts';
import { checkpointFolder, readCheckpoint, writeCheckpoint } from './checkpoints.ts';
import { datasetOf, readSource } from './data.ts';
import { type Method, parametersToKeep } from './method.ts';
import { makeOptimizer } from './optimizers.ts';
import type { TrainingOptions } from './options.ts';

export interface Job {
  readonly method: Method;
  /** Folder of the tokenizer. */
  readonly tokenizer: string;
  /** The model at the beginning; or, of a folder, the one that a checkpoint left. */
  open(runtime: Runtime, checkpoint: string | undefined): Promise<CausalLM>;
}

export async function runTraining({ method, tokenizer: folder, open }: Job, options: TrainingOptions): Promise<void> {
  const { outputDir, resumeFromCheckpoint: asked, validationFile, warmupSteps } = options;
  const checkpoint = asked === undefined ? undefined : await checkpointFolder(asked, outputDir);
  if (checkpoint === undefined && existsSync(outputDir) && !options.overwriteOutputDir)
    throw new UsageError(
      `--output-dir ${outputDir} exists: give another, --overwrite-output-dir or --resume-from-checkpoint`,
    );
  const source = await readSource(options.trainFile, '--train-file');
  const checked = validationFile === undefined ? undefined : await readSource(validationFile, '--validation-file');
  const signal = interruptSignal();
  setThreads(options.threads);
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  const eosTokenId = tokenizer.eosTokenId;
  if (eosTokenId === undefined)
    throw new UsageError(`the tokenizer of ${folder} names no eos_token, which ends documents and answers`);
  const { float8: recipe } = options;
  const use = [autograd(), optim(), ...method.extensions, ...(recipe === undefined ? [] : [float8Training()])];
  const runtime = await autoRuntime({ device: options.device, log, use });
  const bar = await progress();
  const scratch = await mkdtemp(join(tmpdir(), 'ao-tokens-'));
  try {
    const model = await open(runtime, method.savesModel ? checkpoint : undefined);
    await method.prepare(model);
    if (recipe !== undefined)
      convertToFloat8Training(model, {
        recipe,
        config: { padInnerDim: true },
        moduleFilterFn: (_, fqn) => !fqn.endsWith('lm_head'),
      });
    const save = (to: string, last: boolean): Promise<void> =>
      withFloatWeights(model, () => method.save(model, to, last));
    const generators = method.generators?.() ?? {};
    if (options.gradientCheckpointing)
      gradientCheckpointing(model, undefined, { generators: Object.values(generators) });
    const blockSize = options.blockSize ?? Math.min(512, model.maxPositions);
    const into = { blockSize, vocabSize: model.vocabSize, eosTokenId, folder: scratch, signal };
    const data = await datasetOf(source, tokenizer, { ...into, name: 'train' });
    const evaluation = checked && (await datasetOf(checked, tokenizer, { ...into, name: 'validation' }));
    const optimizer = makeOptimizer(
      options.optim,
      trainableParameters(model).map(([, t]) => t),
      options,
    );
    const rows = options.perDeviceTrainBatchSize * options.gradientAccumulationSteps;
    const maxSteps = options.maxSteps ?? Math.max(1, Math.ceil((options.numTrainEpochs * data.length) / rows));
    const scheduler = getScheduler(options.lrSchedulerType, optimizer, {
      numWarmupSteps: warmupSteps,
      numTrainingSteps: maxSteps,
    });
    const parts = { parameters: parametersToKeep(method, model), optimizer, generators };
    const resume = checkpoint === undefined ? undefined : await readCheckpoint(checkpoint, parts);
    const write = logger(join(outputDir, 'train-log.jsonl'), options, bar.stop);
    const result = await train({
      ...{ model, optimizer, data, scheduler, maxSteps, signal },
      ...{ batchSize: options.perDeviceTrainBatchSize, seed: options.seed, maxGradNorm: options.maxGradNorm },
      gradientAccumulationSteps: options.gradientAccumulationSteps,
      loggingSteps: options.loggingSteps,
      ...(options.bf16 ? { autocast: bfloat16 } : {}),
      ...(resume === undefined ? {} : { resume }),
      ...(evaluation === undefined ? {} : { evaluation }),
      ...(options.evalSteps === undefined ? {} : { evalSteps: options.evalSteps }),
      ...(options.saveSteps === undefined ? {} : { saveSteps: options.saveSteps }),
      onLog: write,
      onStep: ({ step, loss, tokensPerSecond }) =>
        bar.update({
          phase: 'train',
          loaded: step,
          total: maxSteps,
          name: `loss ${loss.toFixed(4)}  ${rate(tokensPerSecond)} tokens/s`,
        }),
      save: (state) => writeCheckpoint(outputDir, (to) => save(to, false), parts, state),
    });
    await Promise.all([data.close(), evaluation?.close()]);
    bar.stop();
    if (!result.aborted) await save(outputDir, true);
    report(result, optimizer.stateBytes(), options);
  } finally {
    bar.stop();
    await rm(scratch, { recursive: true, force: true });
    await runtime.close();
  }
}

/** A line of JSON in the file, and one for people. */
function logger(path: string, { json }: TrainingOptions, clear: () => void): (line: TrainLog) => void {
  return (line) => {
    mkdirSync(dirname(path), { recursive: true });
    appendFileSync(path, `${JSON.stringify(line)}\n`);
    if (json) return;
    clear();
    const { step, epoch, loss, eval_loss, learning_rate, tokens_per_second } = line;
    const cells = [
      `step ${step}`,
      `epoch ${epoch.toFixed(2)}`,
      ...(loss === undefined ? [] : [`loss ${loss.toFixed(4)}`]),
      ...(eval_loss === undefined ? [] : [`validation loss ${eval_loss.toFixed(4)}`]),
      ...(learning_rate === undefined ? [] : [`lr ${learning_rate.toExponential(2)}`]),
      ...(tokens_per_second === undefined ? [] : [`${rate(tokens_per_second)} tokens/s`]),
    ];
    print(cells.join('  '));
  };
}

function report(result: TrainResult, stateBytes: number, { outputDir, json }: TrainingOptions): void {
  const { state, loss, evalLoss, aborted } = result;
  if (aborted) process.exitCode = EXIT.interrupted;
  const figures = { ...state, loss, ...(evalLoss === undefined ? {} : { evalLoss }) };
  if (json) printJson({ ...figures, aborted, optimizerStateBytes: stateBytes, outputDir });
  else if (aborted) print(`stopped after step ${state.step}; the same command with --resume-from-checkpoint goes on`);
  else print(`${state.step} steps, ${bytes(stateBytes)} of optimizer state; the result is in ${outputDir}`);
}
