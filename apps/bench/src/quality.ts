// Cross entropy of SmolLM2-135M under a scheme, on the evaluation text: nats per token over 16 windows of 512 tokens.
import { fileURLToPath } from 'node:url';
import type { Measurement, SuiteOptions } from './suite.ts';
import { type Quantized, type Room, startOurs } from './text-engine.ts';

export const TEXT = fileURLToPath(new URL('../../stories-7m/validation.txt', import.meta.url));
const WINDOWS = 16;

const known = new Map<string, Promise<number>>();

/** The cross entropy of a scheme, and of its exact form where one is given, as rows tell it; nothing without the model. */
export async function quality(
  options: SuiteOptions,
  room: Room,
  ours: Quantized,
  { exact, isa }: { readonly exact?: Quantized | undefined; readonly isa?: string } = {},
): Promise<Pick<Measurement, 'crossEntropy'>> {
  if (options.absent('models') !== undefined) return {};
  return {
    crossEntropy: {
      ours: await crossEntropy(ours, room, isa),
      ...(exact === undefined ? {} : { exact: await crossEntropy(exact, room, isa) }),
    },
  };
}

/** Measured once a process for each scheme and instruction set. */
function crossEntropy(quantized: Quantized, room: Room, isa?: string): Promise<number> {
  const key = JSON.stringify([quantized, isa]);
  const nats = known.get(key) ?? measure(quantized, room, isa);
  known.set(key, nats);
  return nats;
}

async function measure(quantized: Quantized, room: Room, isa?: string): Promise<number> {
  const engine = await startOurs('evaluation', quantized, room, isa);
  try {
    return (await engine.run({ evaluate: TEXT, windows: WINDOWS })).crossEntropy!;
  } finally {
    engine.stop();
  }
}
