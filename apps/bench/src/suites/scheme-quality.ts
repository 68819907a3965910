// Perplexity of models under each scheme and algorithm, on 16 windows of 512 tokens of the evaluation text, with the bits per
// weight of the files that saving writes. Every linear and the head have the scheme. stories-7m is a model of quality;
// SmolLM2's weights were 4 bits once, so that its rows tell parity with other programs, not what a scheme loses.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Runtime } from '@ao/core';
import {
  AutoModelForCausalLM,
  AutoTokenizer,
  autoRuntime,
  type CausalLM,
  evaluate,
  fileBits,
  quantizeCheckpoint,
  torchAoConfig,
} from '@ao/hf-integration';
import { fqnToConfig } from '@ao/quantization';
import { PEERS } from '../peers/where.ts';
import { SCHEME_ROWS, type SchemeRow } from '../scheme-list.ts';
import type { Measurement, Suite } from '../suite.ts';

const STORIES = fileURLToPath(new URL('../../../stories-7m', import.meta.url));
const WINDOW = 512;
const WINDOWS = 16;
/** Tokens behind the evaluation's that algorithms calibrate on. */
const CALIBRATION = 8192;

const MODELS = [
  { name: 'stories-7m', folder: STORIES, bundled: true },
  { name: 'SmolLM2-135M', folder: PEERS.smollm2, bundled: false },
] as const;

type Model = (typeof MODELS)[number];

const FLOAT = 'bfloat16';
const idOf = ({ name }: Model, scheme: string): string => `perplexity-${name.toLowerCase()}-${scheme}`;

async function idsOf({ folder }: Model): Promise<number[]> {
  const tokenizer = await AutoTokenizer.fromPretrained(folder);
  const text = await readFile(join(STORIES, 'validation.txt'), 'utf8');
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  return tokenizer.bosTokenId === undefined ? ids : [tokenizer.bosTokenId, ...ids];
}

const load = (folder: string, runtime: Runtime): Promise<CausalLM> =>
  AutoModelForCausalLM.fromPretrained(folder, { runtime, dtype: 'float32' });

/** The folder that a row's scheme makes of a model. */
async function quantized(model: Model, row: SchemeRow, ids: readonly number[], runtime: Runtime, output: string) {
  const quantizationConfig = torchAoConfig(fqnToConfig({ lm_head: row.config, _default: row.config }));
  if (row.quantize === undefined) {
    await quantizeCheckpoint(model.folder, output, { quantizationConfig, runtime });
    return;
  }
  const loaded = await load(model.folder, runtime);
  await row.quantize(loaded, ids.slice(WINDOW * WINDOWS, WINDOW * WINDOWS + CALIBRATION));
  await loaded.savePretrained(output, { quantizationConfig });
  loaded.dispose();
}

export const suite: Suite = {
  name: 'scheme-quality',
  rows: MODELS.flatMap((model) => [FLOAT, ...SCHEME_ROWS.map((s) => s.name)].map((name) => idOf(model, name))),
  async *run({ wants, absent, log }) {
    const runtime = await autoRuntime();
    const folder = await mkdtemp(join(tmpdir(), 'ao-schemes-'));
    try {
      for (const model of MODELS) {
        const rows: readonly (SchemeRow | undefined)[] = [undefined, ...SCHEME_ROWS];
        const wanted = rows.filter((row) => wants(idOf(model, row?.name ?? FLOAT)));
        const skipped = model.bundled ? undefined : absent('models');
        const ids = skipped === undefined && wanted.length > 0 ? await idsOf(model) : [];
        for (const row of wanted) {
          const scheme = row?.name ?? FLOAT;
          const head: Measurement = {
            id: idOf(model, scheme),
            what: `${model.name} ${scheme}`,
            scheme,
            unit: 'perplexity',
          };
          if (skipped !== undefined) {
            yield { ...head, skipped };
            continue;
          }
          log(`${model.name} ${scheme} ...`);
          try {
            const output = row === undefined ? model.folder : join(folder, 'model');
            if (row !== undefined) await quantized(model, row, ids, runtime, output);
            const loaded = await load(output, runtime);
            const { perplexity, crossEntropy } = await evaluate(loaded, ids, { window: WINDOW, windows: WINDOWS });
            loaded.dispose();
            const { bitsPerWeight } = await fileBits(output);
            yield { ...head, ours: perplexity, crossEntropy: { ours: crossEntropy }, bitsPerWeight };
          } catch (error) {
            // a group that divides no row of this model's
            yield { ...head, skipped: (error as Error).message.split('\n')[0]! };
          }
          await rm(join(folder, 'model'), { recursive: true, force: true });
        }
      }
    } finally {
      await runtime.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};
