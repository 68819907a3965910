// Every scheme and algorithm that the tables of packages/quantization/MEASURED.md tell, in their order. A new one is a line here:
// a scheme by its name or config; an algorithm also says how it quantizes a float model in place.
import type { CausalLM } from '@ao/hf-integration';
import type { AoConfig } from '@ao/quantization';
import { parseScheme } from '@ao/quantization';

export interface SchemeRow {
  /** Lower case, unique: the row's name in tables and ids. */
  readonly name: string;
  readonly config: AoConfig;
  /**
   * Quantizes the model, whose head is tied to its embedding or not, so that saving it with `config` writes what it made; by
   * default every linear and the head get `config`. `ids` is text to calibrate on, from another part than the evaluation's.
   */
  quantize?(model: CausalLM, ids: readonly number[]): Promise<void>;
  /** Its kernels are another row's: it has no row of its own in the speed table. */
  readonly sameSpeedAs?: string;
}

const scheme = (name: string, more: Partial<SchemeRow> = {}): SchemeRow => ({
  name,
  config: parseScheme(name),
  ...more,
});

export const SCHEME_ROWS: readonly SchemeRow[] = [
  scheme('int8wo'),
  scheme('int8wo:int8-group'),
  scheme('int8wo-32'),
  scheme('int8dq'),
  scheme('int8dq-asym'),
  scheme('int4wo-32'),
  scheme('int4wo-64'),
  scheme('int4wo-32:int8-group'),
  scheme('int4wo-64:int8-group'),
  scheme('int4wo-tinygemm-64', { sameSpeedAs: 'int4wo-64' }),
  scheme('int4wo-hqq-64', { sameSpeedAs: 'int4wo-64' }),
  scheme('8da4w-32'),
  scheme('8da8w-32'),
  scheme('intx1-asym-32'),
  scheme('intx2-asym-32'),
  scheme('intx3-asym-64'),
  scheme('intx3-hqq-64', { sameSpeedAs: 'intx3-asym-64' }),
  scheme('intx4-sym-32'),
  scheme('intx5-sym-64'),
  scheme('intx6-sym-64'),
  scheme('intx7-sym-64'),
  scheme('intx8-sym-64'),
  scheme('float8wo'),
  scheme('float8wo-e5m2'),
  scheme('mxfp8wo'),
  scheme('mxfp6-e3m2wo'),
  scheme('mxfp4wo'),
  scheme('nvfp4wo'),
  scheme('nf4wo'),
  scheme('fp6_e3m2'),
  scheme('fp5_e2m2'),
  scheme('uint4wo'),
];
