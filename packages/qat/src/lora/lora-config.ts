// LoraConfig: what to adapt and how, with PEFT's fields (peft/tuners/lora/config.py), and its adapter_config.json.
import { AoError } from '@ao/core';

export interface LoraConfig {
  /** Rank. */
  readonly r: number;
  readonly loraAlpha: number;
  /** Probability of dropping an input of the adapter while training. */
  readonly loraDropout: number;
  /** Last parts of module names, 'all-linear' (all but the head), or a pattern that a whole name must match. */
  readonly targetModules: readonly string[] | string;
  /** Modules that are trained whole and saved with the adapter, by the last part of their names. */
  readonly modulesToSave: readonly string[];
  /** Weight-decomposed: the length of each output row is trained apart from its direction (Liu et al. 2024). */
  readonly useDora: boolean;
  /** Scales by alpha / sqrt(r) rather than alpha / r (Kalajdzievski 2023). */
  readonly useRslora: boolean;
  /** Ranks and alphas of single modules, by name or pattern. */
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
  readonly baseModelNameOrPath: string | null;
}

export type LoraOptions = Partial<LoraConfig>;

const fail = (message: string, fix: string): AoError =>
  new AoError('ERR_AO_CONFIG', message, { op: 'loraConfig', fix });

/** PEFT's defaults: r 8, alpha 8, no dropout, q_proj and v_proj. Throws ERR_AO_CONFIG on what cannot be. */
export function loraConfig(options: LoraOptions = {}): LoraConfig {
  const config: LoraConfig = {
    r: 8,
    loraAlpha: 8,
    loraDropout: 0,
    targetModules: ['q_proj', 'v_proj'],
    modulesToSave: [],
    useDora: false,
    useRslora: false,
    rankPattern: {},
    alphaPattern: {},
    baseModelNameOrPath: null,
    ...options,
  };
  const ranks = [config.r, ...Object.values(config.rankPattern)];
  const bad = ranks.find((r) => !Number.isInteger(r) || r < 1);
  if (bad !== undefined) throw fail(`a rank of ${bad}`, 'give a whole number from 1');
  if (!(config.loraDropout >= 0 && config.loraDropout < 1)) {
    throw fail(`loraDropout is ${config.loraDropout}`, 'give a probability in [0, 1)');
  }
  if (config.targetModules.length === 0) throw fail('targetModules is empty', "name modules, or 'all-linear'");
  return config;
}

const matches = (pattern: string, name: string): boolean =>
  name === pattern || name.endsWith(`.${pattern}`) || new RegExp(`^(.*\\.)?(${pattern})$`).test(name);

/** Whether a module is adapted; `head`: the name of the output layer, which 'all-linear' leaves alone. */
export function isTarget({ targetModules: t }: LoraConfig, name: string, head: string | undefined): boolean {
  if (t === 'all-linear') return name !== head;
  if (typeof t === 'string') return new RegExp(`^(?:${t})$`).test(name);
  return t.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
}

/** Rank and scaling of one module. */
export function rankOf(config: LoraConfig, name: string): { readonly r: number; readonly scaling: number } {
  const of = (pattern: Readonly<Record<string, number>>, otherwise: number): number =>
    Object.entries(pattern).find(([p]) => matches(p, name))?.[1] ?? otherwise;
  const [r, alpha] = [of(config.rankPattern, config.r), of(config.alphaPattern, config.loraAlpha)];
  return { r, scaling: alpha / (config.useRslora ? Math.sqrt(r) : r) };
}

/** adapter_config.json as PEFT reads it. */
export function toPeftJson(config: LoraConfig): Record<string, unknown> {
  return {
    alpha_pattern: config.alphaPattern,
    base_model_name_or_path: config.baseModelNameOrPath,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: config.loraAlpha,
    lora_dropout: config.loraDropout,
    modules_to_save: config.modulesToSave.length > 0 ? config.modulesToSave : null,
    peft_type: 'LORA',
    r: config.r,
    rank_pattern: config.rankPattern,
    target_modules: config.targetModules,
    task_type: 'CAUSAL_LM',
    use_dora: config.useDora,
    use_rslora: config.useRslora,
  };
}

/** Fields that change what an adapter means and are not built here; where they are set, loading is an error. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  bias: ['none'],
  fan_in_fan_out: [false],
  layers_to_transform: [null],
  layer_replication: [null],
  lora_bias: [false],
  target_parameters: [null],
  trainable_token_indices: [null],
};

/** The config of an adapter_config.json; throws ERR_AO_CONFIG where it asks for what is not there. */
export function fromPeftJson(json: Readonly<Record<string, unknown>>, where: string): LoraConfig {
  if (json['peft_type'] !== 'LORA') {
    throw new AoError('ERR_AO_CONFIG', `${where} is of peft_type ${String(json['peft_type'])}`, {
      fix: 'use a LORA adapter',
    });
  }
  for (const [field, allowed] of Object.entries(NEUTRAL)) {
    const value = json[field] ?? null;
    if (value === null || allowed.includes(value) || (Array.isArray(value) && value.length === 0)) continue;
    throw new AoError('ERR_AO_CONFIG', `${where} has ${field}: ${JSON.stringify(value)}`, {
      fix: `only ${JSON.stringify(allowed[0])} is read`,
    });
  }
  const number = (field: string, otherwise: number): number => (json[field] as number | null | undefined) ?? otherwise;
  return loraConfig({
    r: number('r', 8),
    loraAlpha: number('lora_alpha', 8),
    loraDropout: number('lora_dropout', 0),
    targetModules: (json['target_modules'] as readonly string[] | string | null) ?? ['q_proj', 'v_proj'],
    modulesToSave: (json['modules_to_save'] as readonly string[] | null) ?? [],
    useDora: json['use_dora'] === true,
    useRslora: json['use_rslora'] === true,
    rankPattern: (json['rank_pattern'] as Record<string, number> | null) ?? {},
    alphaPattern: (json['alpha_pattern'] as Record<string, number> | null) ?? {},
    baseModelNameOrPath: (json['base_model_name_or_path'] as string | null) ?? null,
  });
}
