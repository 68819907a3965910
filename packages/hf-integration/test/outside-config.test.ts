// A config from outside @ao/quantization, alone and inside fqnToConfig: through folders of quantizeCheckpoint and
// savePretrained and back, by a runtime that has its extension.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRuntime, type Extension } from '@ao/core';
import {
  type AoConfig,
  checkMatrix,
  configSpec,
  field,
  fields,
  fqnToConfig,
  int8FromHp,
  makeConfig,
  perGroup,
  quantization,
  schemeEntries,
} from '@ao/quantization';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AutoModelForCausalLM } from '../src/from-pretrained.ts';
import { inspect } from '../src/quantize/inspect.ts';
import { quantizeCheckpoint } from '../src/quantize/quantize-checkpoint.ts';
import { torchAoConfig, torchAoConfigFromJson, torchAoConfigToJsonString } from '../src/quantize/torchao-config.ts';
import { type Tiny, tinyLlama } from './tiny.ts';

interface OutsideConfig extends AoConfig {
  readonly type: 'OutsideConfig';
  readonly groupSize: number;
}
const spec = configSpec<OutsideConfig>({
  type: 'OutsideConfig',
  version: 3,
  fields: { groupSize: field(fields.int, 16) },
  scheme: ({ groupSize }) => `outside-${groupSize}`,
});
const outside = (): Extension => ({
  name: 'outside',
  entries: schemeEntries(
    spec,
    ({ groupSize }, info) =>
      checkMatrix(info, groupSize, [16], 'leave it out') ?? {
        scheme: `outside-${groupSize}`,
        bits: 8,
        bytes: info.shape.reduce((n, d) => n * d, 1),
        activation: 'exact',
        quantize: (w) => int8FromHp(w, { granularity: perGroup(groupSize) }),
      },
  ),
});
const config = makeConfig(spec, { groupSize: 32 });

const runtime = await createRuntime({ use: [quantization(), outside()] });
let tiny: Tiny;
beforeAll(async () => {
  tiny = await tinyLlama();
});
afterAll(async () => {
  await runtime.close();
  await tiny.remove();
});

test('its JSON needs the runtime, and says so', () => {
  const text = torchAoConfigToJsonString(torchAoConfig(config), runtime);
  expect(JSON.parse(text).quant_type.default).toEqual({
    _type: 'OutsideConfig',
    _version: 3,
    _data: { group_size: 32 },
  });
  expect(torchAoConfigFromJson(JSON.parse(text), 'here', runtime)).toEqual(torchAoConfig(config));
  expect(() => torchAoConfigFromJson(JSON.parse(text), 'here')).toThrow(
    /unknown config type OutsideConfig.*pass the runtime/,
  );
});

test.each([
  ['alone', config],
  ['in fqnToConfig', fqnToConfig({ _default: null, 're:.*down_proj': config })],
] as const)('%s: a folder is written, read, inspected and written again', async (name, quantType) => {
  const folder = join(tiny.scratch, name);
  const report = await quantizeCheckpoint(tiny.folder, folder, {
    quantizationConfig: torchAoConfig(quantType),
    runtime,
  });
  expect(report.rows.filter((r) => r.scheme === 'outside-32')).toHaveLength(name === 'alone' ? 14 : 2);
  const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime });
  expect(model.origin?.quantization?.quantType).toEqual(quantType);
  const again = join(tiny.scratch, `${name} again`);
  await model.savePretrained(again);
  model.dispose();
  const weights = (at: string): Promise<Buffer> => readFile(join(at, 'model.safetensors'));
  expect(await weights(again)).toEqual(await weights(folder));
  const stated = async (at: string) => JSON.parse(await readFile(join(at, 'config.json'), 'utf8')).quantization_config;
  expect(await stated(again)).toEqual(await stated(folder));
  const { modules } = await inspect(folder, { runtime });
  expect(modules.find((m) => m.name.endsWith('1.mlp.down_proj'))).toMatchObject({
    scheme: 'outside-32',
    type: 'Int8Tensor',
  });
});

test('a folder whose config nobody knows names the extension that is missing', async () => {
  await expect(
    AutoModelForCausalLM.fromPretrained(join(tiny.scratch, 'alone'), { device: 'reference' }),
  ).rejects.toThrow(/unknown config type OutsideConfig/);
});
