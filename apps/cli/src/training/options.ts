// What `ao train` and `ao finetune` share: transformers' TrainingArguments in the shell's spelling, and what they mean together.
import type { Float8LinearRecipeName } from '@ao/float8';
import type { SchedulerName } from '@ao/optim';

export interface TrainingOptions {
  readonly trainFile: readonly string[];
  readonly validationFile?: readonly string[];
  readonly outputDir: string;
  readonly overwriteOutputDir?: boolean;
  /** A folder, or true: the last checkpoint of the output folder. */
  readonly resumeFromCheckpoint?: string | true;
  readonly blockSize?: number;
  readonly optim: string;
  readonly lr: number;
  readonly lrSchedulerType: SchedulerName;
  readonly warmupSteps: number;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  readonly perDeviceTrainBatchSize: number;
  readonly gradientAccumulationSteps: number;
  readonly numTrainEpochs: number;
  readonly maxSteps?: number;
  readonly seed: number;
  readonly bf16?: boolean;
  readonly float8?: Float8LinearRecipeName;
  readonly gradientCheckpointing?: boolean;
  readonly loggingSteps: number;
  readonly evalSteps?: number;
  readonly saveSteps?: number;
  readonly device: string;
  readonly threads?: number;
  readonly json?: boolean;
}
