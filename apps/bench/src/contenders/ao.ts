// This project's engine: a model folder, quantized while loading where a scheme is given; greedy, ends ignored.
import { AutoConfig, AutoModelForCausalLM, autoRuntime, rulesConfig, torchAoConfig } from '@ao/hf-integration';
import { modelBytes, parseRule, parseScheme } from '@ao/quantization';
import { type Engine, type Setup, serve } from '../contender.ts';

await serve(async ({ model: folder, scheme, rules = [] }: Setup): Promise<Engine> => {
  const runtime = await autoRuntime();
  const { outline } = await AutoConfig.fromPretrained(folder);
  const parsed = rules.map((rule) => parseRule(rule, parseScheme));
  const rest = scheme === undefined ? null : parseScheme(scheme);
  const config =
    rest === null && parsed.length === 0 ? undefined : torchAoConfig(rulesConfig(parsed, rest, outline).config);
  const model = await AutoModelForCausalLM.fromPretrained(folder, {
    runtime,
    dtype: 'float32',
    ...(config === undefined ? {} : { quantizationConfig: config }),
  });
  const info = {
    engine: 'ao',
    device: model.device,
    weightBytes: modelBytes(model),
    ...runtime.backend(model.device).info(),
  };
  return {
    info,
    async run({ promptIds, newTokens }) {
      const options = { maxNewTokens: newTokens + 1, temperature: 0, ignoreEos: true };
      const { prefillTokensPerSecond, decodeTokensPerSecond } = await model.generate(promptIds, options);
      return { prefillTokensPerSecond, decodeTokensPerSecond };
    },
  };
});
