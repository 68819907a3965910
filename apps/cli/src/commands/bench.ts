// ao bench: tokens per second of reading a prompt and of writing, bytes of the weights, peak memory of the process.
import { modelBytes } from '@ao/quantization';
import { type ModelOptions, openModel } from '../open-model.ts';
import { bytes, print, printJson, rate } from '../output.ts';

interface Options extends ModelOptions {
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly repeats: number;
  readonly json?: boolean;
}

export async function bench(name: string, options: Options): Promise<void> {
  const { model, signal, close } = await openModel(name, { ...options, tokenizer: false });
  try {
    const { promptTokens, newTokens, repeats } = options;
    // any ids do: speed does not depend on them
    const prompt = Array.from({ length: promptTokens }, (_, i) => (i * 7919 + 1) % model.vocabSize);
    const prefill: number[] = [];
    const decode: number[] = [];
    for (let round = 0; round < repeats; round++) {
      const result = await model.generate(prompt, {
        maxNewTokens: newTokens + 1,
        temperature: 0,
        ignoreEos: true,
        signal,
      });
      prefill.push(result.prefillTokensPerSecond);
      decode.push(result.decodeTokensPerSecond);
    }
    const result = {
      prefillTokensPerSecond: median(prefill),
      decodeTokensPerSecond: median(decode),
      weightBytes: modelBytes(model),
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
    };
    if (options.json) {
      printJson(result);
      return;
    }
    print(`prefill  ${rate(result.prefillTokensPerSecond)} tokens per second (${promptTokens} tokens)`);
    print(`decode   ${rate(result.decodeTokensPerSecond)} tokens per second (${newTokens} tokens)`);
    print(`weights  ${bytes(result.weightBytes)}`);
    print(`peak     ${bytes(result.peakRssBytes)} resident`);
  } finally {
    await close();
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
