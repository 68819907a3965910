// initializeFakeQuantizers: gives learned ranges their first values, those that the weights have now.
import { copy_, type Module, scope } from '@ao/core';
import { noGrad } from '@ao/core/autograd';
import { initialRange } from './fake-quantize/learned.ts';
import { fakeQuantizedKind, learnedConfig } from './fake-quantized-tensor.ts';

/** torchao's initialize_fake_quantizers: call it before the optimizer is made. `exampleInputs` run through the model once. */
export function initializeFakeQuantizers(model: Module, exampleInputs: readonly unknown[] = []): void {
  for (const t of model.packable()) {
    if (!fakeQuantizedKind.is(t)) continue;
    const config = learnedConfig(t.attrs);
    if (config === null) continue;
    noGrad(() =>
      scope(() => {
        const { scale, zero_point } = initialRange(t.weight, config);
        copy_(t.scale!, scale);
        if (zero_point !== undefined) copy_(t.zero_point!, zero_point);
      }),
    );
    t.attrs.state.initialized = true;
  }
  if (exampleInputs.length > 0) noGrad(() => scope(() => void model.call(...exampleInputs)));
}
