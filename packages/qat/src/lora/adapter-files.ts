// An adapter as PEFT's two files, adapter_config.json and adapter_model.safetensors, and back:
//   base_model.model.<module>.lora_A.weight [r, K], .lora_B.weight [N, r], .lora_magnitude_vector [N]
//   base_model.model.<parameter> of modulesToSave
import {
  AoError,
  bytesSink,
  bytesSource,
  cast,
  clone,
  copy_,
  type Dense,
  fill_,
  float32,
  keep,
  type Module,
  mul,
  openSafetensors,
  prepare,
  readTensors,
  scope,
  slice,
  type Tensor,
  type TensorFile,
  writeSafetensors,
} from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { fromPeftJson, type LoraConfig, rankOf, toPeftJson } from './lora-config.ts';
import type { LoraTensor } from './lora-tensor.ts';
import { type Adapter, attach, savedModules, targetsOf } from './peft-model.ts';

export interface AdapterFiles {
  readonly 'adapter_config.json': Uint8Array;
  readonly 'adapter_model.safetensors': Uint8Array;
}

const PREFIX = 'base_model.model.';
const MODEL = 'adapter_model.safetensors';
const FIX = 'use the adapter that was made for this model, and its config';

/** Where the tensors of a module stand; a model may be one module itself. */
const under = (module: string): string => (module === '' ? PREFIX : `${PREFIX}${module}.`);

function partsOf(module: string, t: LoraTensor): [string, Tensor][] {
  const at = under(module);
  const parts: [string, Tensor][] = [
    [`${at}lora_A.weight`, t.lora_A],
    [`${at}lora_B.weight`, t.lora_B],
  ];
  if (t.magnitude !== undefined) parts.push([`${at}lora_magnitude_vector`, t.magnitude]);
  return parts;
}

const namesOf = ({ tensors, saved }: Adapter): Map<string, Tensor> =>
  new Map([
    ...[...tensors].flatMap(([module, t]) => partsOf(module, t)),
    ...[...saved].map(([name, t]) => [`${PREFIX}${name}`, t] as const),
  ]);

/** What PEFT's save_pretrained writes; `PeftModel.from_pretrained(base, folder)` reads it. */
export async function adapterFiles(adapter: Adapter): Promise<AdapterFiles> {
  const tensors = namesOf(adapter);
  const items = [...tensors].map(([name, t]) => ({ name, shape: t.shape, dtype: t.dtype.safetensors }));
  const sink = bytesSink(MODEL);
  await writeSafetensors(
    sink,
    items,
    async ({ name }) => {
      const bits = await tensors.get(name)!.bits();
      return new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
    },
    { metadata: { format: 'pt' } },
  );
  const json = `${JSON.stringify(toPeftJson(adapter.config), null, 2)}\n`;
  return { 'adapter_config.json': new TextEncoder().encode(json), [MODEL]: sink.bytes() };
}

export interface OpenedAdapter {
  readonly config: LoraConfig;
  readonly file: TensorFile;
}

export async function openAdapter(files: AdapterFiles): Promise<OpenedAdapter> {
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(new TextDecoder().decode(files['adapter_config.json'])) as Record<string, unknown>;
  } catch (cause) {
    throw new AoError('ERR_AO_FORMAT', `adapter_config.json is no JSON: ${(cause as Error).message}`, {
      fix: 'copy the adapter again',
      cause,
    });
  }
  return {
    config: fromPeftJson(json, 'adapter_config.json'),
    file: await openSafetensors(bytesSource(files[MODEL], MODEL)),
  };
}

/** Compares names and shapes of the file with what the model needs; `smaller`: ranks below the model's are fine. */
function check(file: TensorFile, wanted: ReadonlyMap<string, readonly number[]>, smaller = false): void {
  const missing = [...wanted.keys()].filter((n) => !file.names.includes(n));
  const unexpected = file.names.filter((n) => !wanted.has(n));
  const list = (names: readonly string[]): string =>
    names.slice(0, 4).join(', ') + (names.length > 4 ? `, and ${names.length - 4} more` : '') || 'nothing';
  if (missing.length + unexpected.length > 0) {
    throw new AoError('ERR_AO_FORMAT', `${MODEL}: missing ${list(missing)}; unexpected ${list(unexpected)}`, {
      fix: FIX,
    });
  }
  for (const [name, shape] of wanted) {
    const have = file.entry(name).shape;
    const fits = have.length === shape.length && have.every((n, i) => n === shape[i] || (smaller && n < shape[i]!));
    if (!fits)
      throw new AoError('ERR_AO_FORMAT', `the shape is [${have}], the model needs [${shape}]`, {
        tensor: name,
        fix: FIX,
      });
  }
}

/** The file's tensors beside `like`. */
async function readKept(file: TensorFile, { rt, device }: Tensor): Promise<Map<string, Dense>> {
  const found = await readTensors(rt, file, { device });
  for (const t of found.values()) keep(t);
  return found;
}

/**
 * PeftModel.from_pretrained: puts a saved adapter on a model, trainable where asked. Throws ERR_AO_FORMAT naming the tensors
 * where the files are of another model, before anything changes.
 */
export async function loadAdapter(
  model: Module,
  files: AdapterFiles,
  options: { readonly trainable?: boolean } = {},
): Promise<Adapter> {
  const { config, file } = await openAdapter(files);
  const targets = targetsOf(model, config);
  const wanted = new Map<string, readonly number[]>();
  for (const { name, module, r } of targets) {
    const [n, k] = module.weight.shape as [number, number];
    wanted.set(`${under(name)}lora_A.weight`, [r, k]).set(`${under(name)}lora_B.weight`, [n, r]);
    if (config.useDora) wanted.set(`${under(name)}lora_magnitude_vector`, [n]);
  }
  for (const [name, t] of savedModules(model, config)) wanted.set(`${PREFIX}${name}`, t.shape);
  check(file, wanted);
  const stored = await readKept(file, targets[0]!.module.weight);
  const take = (name: string): Tensor => keep(clone(cast(stored.get(name)!, float32)));
  const adapter = attach(model, config, targets, ({ name }) => ({
    a: take(`${under(name)}lora_A.weight`),
    b: take(`${under(name)}lora_B.weight`),
    magnitude: config.useDora ? take(`${under(name)}lora_magnitude_vector`) : undefined,
  }));
  noGrad(() => adapter.saved.forEach((t, name) => void copy_(t, stored.get(`${PREFIX}${name}`)!)));
  for (const t of stored.values()) t.dispose();
  if (options.trainable !== true) for (const t of namesOf(adapter).values()) t.requiresGrad = false;
  await prepare(model);
  return adapter;
}

/**
 * PEFT's hotswap_adapter: another adapter's values in the place of this one's, in the same memory, so that captured plans go on
 * with them. It may have smaller ranks; its scaling goes into B.
 */
export async function hotswapAdapter(adapter: Adapter, files: AdapterFiles): Promise<void> {
  const { config, file } = await openAdapter(files);
  const parts = namesOf(adapter);
  check(file, new Map([...parts].map(([name, t]) => [name, t.shape])), true);
  const stored = await readKept(file, [...parts.values()][0]!);
  noGrad(() =>
    scope(() => {
      for (const [module, t] of adapter.tensors) {
        const ratio = rankOf(config, module).scaling / t.attrs.scaling;
        for (const [name, part] of partsOf(module, t)) {
          const value = stored.get(name)!;
          const scaled = part === t.lora_B ? mul(cast(value, float32), ratio) : value;
          fill_(part, 0);
          let place = part;
          for (const [d, n] of value.shape.entries()) place = slice(place, d, 0, n);
          copy_(place, scaled);
        }
      }
      for (const [name, t] of adapter.saved) copy_(t, stored.get(`${PREFIX}${name}`)!);
    }),
  );
  for (const t of stored.values()) t.dispose();
}
