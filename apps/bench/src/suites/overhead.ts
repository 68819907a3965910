// What JavaScript costs: a token that is replayed, an op that is called, and a process that waits.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PEERS } from '../peers/where.ts';
import { median } from '../statistics.ts';
import type { Measurement, Suite } from '../suite.ts';

const token = { unit: 'µs', lowerIsBetter: true, form: 'int8-group', target: { kind: 'at most', value: 30 } } as const;
const op = { unit: 'µs', lowerIsBetter: true, target: { kind: 'at most', value: 1 } } as const;

const ROWS: readonly Measurement[] = [
  { id: 'js-token', what: 'JavaScript per replayed token, ids alone, SmolLM2 int4', ...token },
  { id: 'js-token-text', what: 'JavaScript per replayed token, with its text', ...token },
  {
    id: 'js-replay',
    what: 'JavaScript per replay of a small plan and read of its result',
    unit: 'µs',
    lowerIsBetter: true,
    target: { kind: 'at most', value: 30 },
  },
  { id: 'js-op-add', what: 'JavaScript per eager add of two [16]', ...op },
  { id: 'js-op-mul-number', what: 'JavaScript per eager mul of [16] by a number', ...op },
  { id: 'js-op-silu', what: 'JavaScript per eager silu of [16]', ...op },
  { id: 'js-op-linear', what: 'JavaScript per eager linear [1, 64] by [64, 64]', ...op },
  { id: 'js-op-reshape', what: 'JavaScript per reshape', ...op },
  { id: 'js-op-transpose', what: 'JavaScript per transpose', ...op },
  {
    id: 'idle-cpu',
    what: 'processor time of an idle process with an open runtime, of 2 s',
    unit: 'ms',
    lowerIsBetter: true,
    target: { kind: 'at most', value: 5 },
  },
];

export const suite: Suite = {
  name: 'overhead',
  rows: ROWS.map((row) => row.id),
  async *run({ threads, repeats, absent, wants }) {
    const models = absent('models');
    const file = fileURLToPath(new URL('../overhead-process.ts', import.meta.url));
    const args = ['--conditions=@ao/source', file, String(repeats), String(threads)];
    if (models === undefined) args.push(PEERS.smollm2);
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const runs = JSON.parse(stdout) as Record<string, number[]>;
    for (const row of ROWS) {
      if (!wants(row.id)) continue;
      const ours = runs[row.id];
      if (ours !== undefined) yield { ...row, ours: median(ours), runs: { ours } };
      else yield { ...row, skipped: models ?? 'not measured' };
    }
  },
};
