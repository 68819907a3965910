// --algorithm: names in the order in which they run.
import { UsageError } from './exit.ts';

const ALGORITHMS = ['rotate', 'smoothquant', 'awq', 'gptq', 'autoround', 'hqq'] as const;
type Name = (typeof ALGORITHMS)[number];

/** --algorithm rotate,gptq: the names in the order in which they run. */
export function parseAlgorithms(text: string): Name[] {
  const names = text.split(/[,+]/).map((name) => name.trim());
  const unknown = names.find((name) => !ALGORITHMS.includes(name as Name));
  if (unknown !== undefined) {
    throw new UsageError(`unknown algorithm '${unknown}'. Known: ${ALGORITHMS.join(', ')}; several as rotate,gptq`);
  }
  const order = names.map((name) => ALGORITHMS.indexOf(name as Name));
  if (order.some((at, i) => i > 0 && at <= (order[i - 1] as number))) {
    throw new UsageError(`--algorithm ${text}: they run in the order ${ALGORITHMS.join(', ')}, each once`);
  }
  if (names.includes('gptq') && names.includes('autoround')) {
    throw new UsageError(`--algorithm ${text}: gptq and autoround both round the weights; give one of them`);
  }
  return names as Name[];
}
