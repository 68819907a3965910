// sparsify_: replaces a model's weights by sparse ones, in place, by the same rules and with the same report as quantize_.
import { AoError, type Module, noGrad, replaceTensor, type Tensor, unpackedOf } from '@ao/core';
import {
  type AoConfig,
  bitsPerWeight,
  type FilterFn,
  modelBytes,
  type QuantizeOptions,
  type QuantizeReport,
  type QuantizeRow,
  quantize_,
  type Rules,
  selectWeights,
  tensorBytes,
} from '@ao/quantization';
import { blockSparseTensor } from './block-sparse/block-sparse-tensor.ts';
import type { BlockSparseWeightConfig } from './config/configs.ts';

const isBlockSparse = (config: AoConfig | Rules): config is BlockSparseWeightConfig =>
  (config as AoConfig).type === 'BlockSparseWeightConfig';

/**
 * Sparsifies a model in place; `config` is that of quantize_ or blockSparseWeight(), which the weights' own blocks of zeros decide.
 * The third argument is torchao's filter_fn, or quantize_'s options. Rejects, nothing changed, with ERR_AO_CONFIG naming every
 * weight that cannot have it.
 */
export async function sparsify_(
  model: Module,
  config: AoConfig | Rules,
  options: FilterFn | QuantizeOptions = {},
): Promise<QuantizeReport> {
  const given = typeof options === 'function' ? { filterFn: options } : options;
  return isBlockSparse(config) ? blocks_(model, config, given) : quantize_(model, config, given);
}

function requireBlocks(found: readonly (readonly [name: string, t: Tensor])[], blocksize: number): void {
  const bad = found.filter(([, t]) => t.ndim !== 2 || t.shape.some((n) => n % blocksize !== 0));
  if (bad.length === 0) return;
  throw new AoError(
    'ERR_AO_CONFIG',
    `blocks of ${blocksize} do not fill ${bad.map(([name, t]) => `${name} [${t.shape}]`).join(', ')}; nothing was changed`,
    { op: 'sparsify_', module: bad[0]![0], fix: 'give another blocksize, or a filter that leaves them out' },
  );
}

async function blocks_(
  model: Module,
  config: BlockSparseWeightConfig,
  { rules = [], filterFn, dryRun = false }: QuantizeOptions,
): Promise<QuantizeReport> {
  const { decisions, unusedRules } = selectWeights(model, config, rules, filterFn);
  const chosen = decisions.filter((d) => d.config !== null);
  requireBlocks(
    chosen.map((d) => [d.names[0] as string, d.weight]),
    config.blocksize,
  );
  const bytesBefore = modelBytes(model);
  const rows: QuantizeRow[] = [];
  for (const d of decisions) {
    const { weight, names, rule } = d;
    const [fqn = '', ...tied] = names;
    const before = tensorBytes(weight);
    const { shape, dtype } = weight;
    let made: Tensor = weight;
    if (d.config !== null && !dryRun) {
      const trains = weight.requiresGrad;
      const plain = unpackedOf(weight);
      made = await blockSparseTensor(noGrad(() => weight.rt.dequantize(plain)) as never, config.blocksize);
      weight.requiresGrad = false;
      replaceTensor(model, weight, made);
      made.requiresGrad = trains;
    }
    const bytes = tensorBytes(made);
    rows.push({
      fqn,
      tied,
      shape,
      dtype: dtype.name,
      ...(rule !== undefined && { rule }),
      scheme: d.config === null ? null : `bsr-${config.blocksize}`,
      bits: dtype.bits,
      activation: 'exact',
      bytesBefore: before,
      bytesAfter: bytes,
      bitsPerWeight: bitsPerWeight(bytes, shape),
      sqnr: d.config === null || dryRun ? null : Number.POSITIVE_INFINITY,
      ...(d.config === null && { skipped: d.skipped ?? 'no rule matches' }),
    });
  }
  return { rows, bytesBefore, bytesAfter: modelBytes(model), unusedRules, dryRun };
}
