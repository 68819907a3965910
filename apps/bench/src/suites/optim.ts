// Steps of optimizers on one float32 parameter of 20 M values, beside torchao's in eager mode (torch's fused AdamW for the plain one),
// and as a share of memory speed: the bytes that a step reads and writes, at the speed at which plain SGD, which reads parameter and
// gradient and writes the parameter, moves its 12 bytes a value.
import { fileURLToPath } from 'node:url';
import { Contender, nodeCommand } from '../contender.ts';
import { interleave } from '../interleave.ts';
import type { OptimEngine } from '../optim-engine.ts';
import { PEERS } from '../peers/where.ts';
import { median } from '../statistics.ts';
import type { Measurement, Suite, SuiteOptions } from '../suite.ts';

const PARAMETERS = 20 * 2 ** 20;

interface Case {
  readonly id: string;
  readonly optimizer: string;
  /** Of moments, read and written, a value. */
  readonly stateBytes: number;
  readonly steps: number;
  /** Least ratio to the peer. */
  readonly target?: number;
}

const CASES: readonly Case[] = [
  { id: 'optim-adamw8bit', optimizer: 'AdamW8bit', stateBytes: 4 + 16 / 256, steps: 2, target: 4 },
  { id: 'optim-adamw4bit', optimizer: 'AdamW4bit', stateBytes: 2 + 16 / 128, steps: 2, target: 4 },
  { id: 'optim-adamwfp8', optimizer: 'AdamWFp8', stateBytes: 4 + 16 / 256, steps: 2, target: 4 },
  { id: 'optim-adamw', optimizer: 'AdamW', stateBytes: 16, steps: 4 },
];
/** Parameter read and written, gradient read. */
const BYTES = 12;

async function* run({ wants, absent, threads, repeats }: SuiteOptions): AsyncIterable<Measurement> {
  const skipped = absent('torchao');
  const engines: OptimEngine[] = [];
  try {
    engines.push(await Contender.start('ours', nodeCommand('optim', { AO_NUM_THREADS: String(threads) }), { threads }));
    const file = fileURLToPath(new URL('../contenders/optim.py', import.meta.url));
    const env = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) };
    if (skipped === undefined)
      engines.push(await Contender.start('torch', { file: PEERS.python, args: [file], env }, { threads }));
    const speed = (seconds: number): number => PARAMETERS / seconds / 1e6;
    for (const { id, optimizer, stateBytes, steps, target } of CASES) {
      if (!wants(id)) continue;
      const sgd = await interleave(
        engines.slice(0, 1),
        { optimizer: 'SGD', parameters: PARAMETERS, steps: 8 },
        repeats,
      );
      const memory = (BYTES * speed(median(sgd['ours']!.map(({ seconds }) => seconds)))) / 1e3;
      const results = await interleave(engines, { optimizer, parameters: PARAMETERS, steps }, repeats);
      const runs = Object.fromEntries(
        Object.entries(results).map(([name, list]) => [name, list.map(({ seconds }) => speed(seconds))]),
      );
      yield {
        id,
        what: `${optimizer} step, 20 M float32 parameters`,
        unit: 'M parameters/s',
        ours: median(runs['ours']!),
        runs,
        limit: { name: `${memory.toFixed(1)} GB/s`, value: (memory * 1e3) / (BYTES + stateBytes) },
        ...(runs['torch'] === undefined
          ? {}
          : { peer: { name: optimizer === 'AdamW' ? 'torch fused' : 'torchao eager', value: median(runs['torch']) } }),
        ...(target === undefined ? {} : { target: { kind: 'ratio', value: target } as const }),
        ...(skipped === undefined ? {} : { skipped }),
      };
    }
  } finally {
    for (const engine of engines) engine.stop();
  }
}

export const suite: Suite = { name: 'optim', rows: CASES.map(({ id }) => id), run };
