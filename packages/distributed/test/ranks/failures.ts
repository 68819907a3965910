// What ranks are told when one of them does something else, does not come, or dies; `told` is rank 0's.

import { setTimeout as sleep } from 'node:timers/promises';
import { bfloat16, zeros } from '@ao/core';
import { allGather, allReduce_, initProcessGroup, launchEnvironment } from '../../src/index.ts';
import { rank, tell } from './runtime.ts';

process.on('SIGTERM', () => {});
const { rt, group } = await rank();
const me = group.rank;
const result: Record<string, unknown> = { rank: me };
const failure = async (run: () => Promise<unknown>): Promise<string> => {
  try {
    await run();
    return 'nothing failed';
  } catch (error) {
    const { code, op, message } = error as { code: string; op: string; message: string };
    return `${code} ${op}: ${message}`;
  }
};
const another = (n: number, timeout: number) => {
  const env = launchEnvironment();
  return initProcessGroup(rt, { environment: { ...env, port: env.port + n }, timeout });
};

const wrong = zeros(rt, [8 + me], { dtype: bfloat16 });
result['mismatch'] = await failure(() => (me === 0 ? allReduce_(wrong, group) : allGather(wrong, group)).data());
result['afterwards'] = await failure(() => allReduce_(zeros(rt, [2]), group).data());
result['dtype'] = await failure(async () =>
  allReduce_(zeros(rt, [2], { dtype: (await import('@ao/core')).int32 }), group),
);
await group.barrier().catch(() => {});
await group.destroy();

const slow = await another(1, 1);
if (me === 0) result['late'] = await failure(() => allReduce_(zeros(rt, [2]), slow).data());
else await sleep(1500);
await slow.destroy();

const last = await another(2, 20);
if (me === 1) {
  tell(result);
  process.exit(3);
}
result['died'] = await failure(() => allReduce_(zeros(rt, [100_000]), last).data());
await last.destroy();
tell(result);
await rt.close();
