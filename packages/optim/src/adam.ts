// Adam and AdamW: torch.optim's with moments in the parameter's dtype, torchao.optim's with moments in codes of 8 or 4 bits or
// fp8. One fused op a parameter (core's fusedAdam_) reads and writes parameter, gradient and state once.
import {
  type AdamMoment,
  AoError,
  bfloat16,
  type Dense,
  fusedAdam_,
  int32,
  isWrapped,
  type Tensor,
  tensor,
} from '@ao/core';
import { type GroupInput, Optimizer, type ParamGroup, type ParamState } from './optimizer.ts';
import { counter, type StateForm, stateZeros } from './state/zeros.ts';

export interface AdamGroup {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** The largest second moment so far stands for the second moment. */
  readonly amsgrad: boolean;
}

export interface AdamOptions extends Partial<AdamGroup> {
  /** 1e-3 */
  readonly lr?: number;
}

export interface LowBitAdamOptions extends AdamOptions {
  /** Values that share a scale. */
  readonly blockSize?: number;
  /** bfloat16 parameters are rounded up or down at random, so that small updates are not lost; equal seeds give equal numbers. */
  readonly bf16StochasticRound?: boolean;
  /** Of that rounding; 0 unless given. */
  readonly seed?: number;
}

interface Form {
  readonly form: StateForm;
  readonly decoupled: boolean;
  readonly blockSize: number;
}

type Params = Iterable<Tensor> | Iterable<GroupInput<AdamGroup>>;

function momentOf(t: Tensor): AdamMoment {
  if (!isWrapped(t)) return { codes: t };
  return t.parts as unknown as AdamMoment;
}

/** Adam in any form; use the named classes. */
export abstract class AdamBase extends Optimizer<AdamGroup> {
  readonly #form: Form;
  readonly #rng: Dense | undefined;

  protected constructor(params: Params, options: LowBitAdamOptions, form: Form) {
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = form.decoupled ? 1e-2 : 0 } = options;
    super(params, lr, { betas, eps, weightDecay, amsgrad: options.amsgrad ?? false });
    if (!Number.isInteger(form.blockSize) || form.blockSize < 1 || (form.form === '4bit' && form.blockSize % 2 !== 0))
      throw new AoError('ERR_AO_CONFIG', `blockSize ${form.blockSize}`, {
        fix: 'a whole number above 0, even for 4 bits; torchao has 256, and 128 for 4 bits',
      });
    this.#form = form;
    if (options.bf16StochasticRound !== true) return;
    const { rt, device } = this.paramGroups[0]!.params[0]!;
    this.#rng = tensor(rt, [options.seed ?? 0, 0], { dtype: int32, device });
    this.#rng.kept = true;
  }

  protected check({ betas: [beta1, beta2], eps, weightDecay }: AdamGroup): void {
    if (beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1 && eps >= 0 && Number.isFinite(eps + weightDecay)) return;
    throw new AoError('ERR_AO_CONFIG', `betas ${beta1}, ${beta2}, eps ${eps}, weightDecay ${weightDecay}`, {
      fix: 'betas in [0, 1), eps >= 0, all finite',
    });
  }

  protected newState(p: Tensor, { amsgrad }: ParamGroup<AdamGroup>): ParamState {
    const { form, blockSize } = this.#form;
    const zeros = (signed: boolean): Tensor => stateZeros(p, form, blockSize, signed);
    const moments = { step: counter(p), exp_avg: zeros(true), exp_avg_sq: zeros(false) };
    return amsgrad ? { ...moments, max_exp_avg_sq: zeros(false) } : moments;
  }

  protected update(p: Tensor, grad: Tensor, state: ParamState, group: ParamGroup<AdamGroup>): void {
    const { step, exp_avg, exp_avg_sq, max_exp_avg_sq } = state as Record<'step' | 'exp_avg' | 'exp_avg_sq', Tensor> & {
      max_exp_avg_sq?: Tensor;
    };
    const { betas, eps, weightDecay, lr } = group;
    fusedAdam_(
      p,
      grad,
      {
        step,
        expAvg: momentOf(exp_avg),
        expAvgSq: momentOf(exp_avg_sq),
        maxExpAvgSq: max_exp_avg_sq && momentOf(max_exp_avg_sq),
      },
      lr,
      { beta1: betas[0], beta2: betas[1], eps, weightDecay, decoupled: this.#form.decoupled },
      p.dtype === bfloat16 ? this.#rng : undefined,
    );
  }

  protected override extras(): Record<string, Tensor> {
    return this.#rng === undefined ? {} : { rng_state: this.#rng };
  }
}

const form = (name: StateForm, decoupled: boolean, blockSize: number): Form => ({ form: name, decoupled, blockSize });

/** torch.optim.Adam: weight decay (0) joins the gradient. */
export class Adam extends AdamBase {
  constructor(params: Params, options: AdamOptions = {}) {
    super(params, options, form('plain', false, 1));
  }
}

/** torch.optim.AdamW: weight decay (1e-2) acts on the parameter. */
export class AdamW extends AdamBase {
  constructor(params: Params, options: AdamOptions = {}) {
    super(params, options, form('plain', true, 1));
  }
}

/** torchao's AdamW without quantized state, for `bf16StochasticRound`. */
export class _AdamW extends AdamBase {
  constructor(params: Params, options: Omit<LowBitAdamOptions, 'blockSize'> = {}) {
    super(params, options, form('plain', true, 1));
  }
}

/** Moments in 8 bits, blocks of 256. */
export class Adam8bit extends AdamBase {
  constructor(params: Params, options: LowBitAdamOptions = {}) {
    super(params, options, form('8bit', false, options.blockSize ?? 256));
  }
}

/** Moments in 8 bits, blocks of 256; decoupled weight decay. */
export class AdamW8bit extends AdamBase {
  constructor(params: Params, options: LowBitAdamOptions = {}) {
    super(params, options, form('8bit', true, options.blockSize ?? 256));
  }
}

/** Moments in 4 bits, blocks of 128. */
export class Adam4bit extends AdamBase {
  constructor(params: Params, options: LowBitAdamOptions = {}) {
    super(params, options, form('4bit', false, options.blockSize ?? 128));
  }
}

/** Moments in 4 bits, blocks of 128; decoupled weight decay. */
export class AdamW4bit extends AdamBase {
  constructor(params: Params, options: LowBitAdamOptions = {}) {
    super(params, options, form('4bit', true, options.blockSize ?? 128));
  }
}

/** Moments in float8_e4m3fn, blocks of 256. */
export class AdamFp8 extends AdamBase {
  constructor(params: Params, options: LowBitAdamOptions = {}) {
    super(params, options, form('fp8', false, options.blockSize ?? 256));
  }
}

/** Moments in float8_e4m3fn, blocks of 256; decoupled weight decay. */
export class AdamWFp8 extends AdamBase {
  constructor(params: Params, options: LowBitAdamOptions = {}) {
    super(params, options, form('fp8', true, options.blockSize ?? 256));
  }
}
