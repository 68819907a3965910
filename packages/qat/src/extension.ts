// The extension of this package: fake quantization, and adapters of low rank.
import { answer, type Entry, type Extension, type Module } from '@ao/core';
import { planTrait, restoreTrait, type WeightInfo } from '@ao/quantization';
import type { QATConfig } from './config/qat.ts';
import { type LearnedConfig, learnedPlan, restore } from './convert.ts';
import { fakeQuantizeRule } from './fake-quantize/fake-quantizer.ts';
import { roundThroughRule } from './fake-quantize/round.ts';
import { fakeQuantizedLinearRule } from './fake-quantized-linear.ts';
import { fakeQuantizedEntries } from './fake-quantized-tensor.ts';
import { loraEntries } from './lora/lora-tensor.ts';
import { preparePlan } from './prepare.ts';

const makeEntries = (): readonly Entry[] => [
  ...loraEntries(),
  ...fakeQuantizedEntries(),
  fakeQuantizedLinearRule(),
  fakeQuantizeRule(),
  roundThroughRule(),
  answer(planTrait, { type: 'QATConfig' }, (config: QATConfig, info: WeightInfo, rt) => preparePlan(rt, config, info)),
  answer(planTrait, { type: 'LearnedQATConfig' }, (config: LearnedConfig, info: WeightInfo) =>
    learnedPlan(config, info),
  ),
  answer(restoreTrait, { type: 'QATConfig' }, (config: QATConfig, model: Module, takes) =>
    restore(model, config, takes),
  ),
];

const entries = /*@__PURE__*/ makeEntries();

/** Everything of this package; users write `qat()`. */
export const qatExtension = (): Extension => ({ name: '@ao/qat', entries });
