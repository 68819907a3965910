// ao launch: one process a GPU (or rank) of a script, with torchrun's variables; ends with the code of the first rank that failed.
import { launch as start } from '@ao/distributed';

interface LaunchFlags {
  readonly nproc: number;
  readonly nnodes: number;
  readonly nodeRank: number;
  readonly masterAddr?: string;
  readonly masterPort?: number;
}

export async function launch(
  script: string,
  args: readonly string[],
  { nproc, nnodes, nodeRank, masterAddr, masterPort }: LaunchFlags,
): Promise<void> {
  const meeting = {
    ...(masterAddr === undefined ? {} : { masterAddr }),
    ...(masterPort === undefined ? {} : { masterPort }),
  };
  const { code } = await start({ nproc, nnodes, nodeRank, ...meeting, script, args });
  process.exitCode = code;
}
