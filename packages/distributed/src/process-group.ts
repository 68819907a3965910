// A process group: the processes that compute together, and which of them this is. `initProcessGroup` makes one of what the launcher says.
import { randomInt } from 'node:crypto';
import { AoError, fromBits, type Runtime, scope, type Tensor, uint8, zeros } from '@ao/core';
import { type LaunchEnvironment, launchEnvironment } from './environment.ts';
import { allReduce_, groupClose_, groupConnect_, groupOpen_ } from './ops/collectives.ts';
import { rendezvous } from './rendezvous.ts';

export interface ProcessGroup {
  readonly rank: number;
  readonly size: number;
  /** Device whose tensors it takes. */
  readonly device: string;
  /** Its number in the backend. */
  readonly id: number;
  readonly closed: boolean;
  /** Resolves once every rank has come here and all work before it is done. */
  barrier(): Promise<void>;
  /** Strings of all ranks in order, past the device: for names, numbers and reports. */
  gatherText(text: string): Promise<string[]>;
  /** Ends it on this rank. Plans that hold its collectives must not be replayed any more. */
  destroy(): Promise<void>;
}

export interface ProcessGroupOptions {
  /** Instead of what the environment says. */
  readonly environment?: LaunchEnvironment;
  /** Seconds that a rank waits for another, at the start and in collectives; 600. */
  readonly timeout?: number;
  /** Default: the runtime's device. */
  readonly device?: string;
}

/** Bytes of a rank's address, kernels/cpu/include/ao/collective.h. */
const ADDRESS = 128;

/** a.b.c.d as a number. */
function ipv4(address: string): number {
  const bytes = address
    .replace(/^::ffff:/, '')
    .split('.')
    .map(Number);
  if (bytes.length !== 4 || bytes.some((b) => !(b >= 0 && b < 256))) {
    throw new AoError('ERR_AO_DEVICE', `rank 0 is reached from ${address}, which is no IPv4 address`, {
      op: 'initProcessGroup',
      fix: 'set MASTER_ADDR to an IPv4 address',
    });
  }
  return bytes.reduce((n, b) => n * 256 + b, 0);
}

const onDevice = (rt: Runtime, bytes: Uint8Array, device: string): Tensor =>
  fromBits(rt, bytes, [bytes.length], uint8, { device });

/**
 * torch.distributed.init_process_group: joins all processes that the launcher started (torchrun's variables, mpirun or SLURM; one process
 * without them) on the runtime's device. NCCL on cuda, TCP on cpu. Rejects with ERR_AO_DEVICE naming the rank that did not come.
 */
export async function initProcessGroup(rt: Runtime, options: ProcessGroupOptions = {}): Promise<ProcessGroup> {
  const { environment = launchEnvironment(), timeout = 600, device = rt.device } = options;
  const { rank, size } = environment;
  if (!(timeout > 0)) throw new AoError('ERR_AO_CONFIG', `timeout is ${timeout}`, { fix: 'give seconds above 0' });
  const meeting = size === 1 ? undefined : await rendezvous(environment, timeout);
  const all = async (tag: string, text: string): Promise<string[]> =>
    meeting === undefined ? [text] : meeting.exchange(tag, text);
  const id = randomInt(2 ** 47);
  let closed = false;
  let calls = 0;
  const group: ProcessGroup = {
    ...{ rank, size, device, id },
    get closed() {
      return closed;
    },
    async barrier() {
      const t = scope(() => allReduce_(zeros(rt, [1], { device }), group));
      await t.data();
      t.dispose();
    },
    gatherText: (text) => all(`text ${++calls}`, text),
    async destroy() {
      if (closed) return;
      closed = true;
      const t = groupClose_(zeros(rt, [1], { device }), id);
      await t.data();
      t.dispose();
      meeting?.close();
    },
  };
  try {
    const [mine, kinds] = [
      groupOpen_(zeros(rt, [ADDRESS], { dtype: uint8, device }), id, ipv4(meeting?.host ?? '127.0.0.1'), rank, size),
      await all('device', device),
    ];
    const odd = kinds.findIndex((kind) => kind !== device);
    if (odd >= 0) {
      throw new AoError('ERR_AO_DEVICE', `rank ${rank} is on ${device}, rank ${odd} on ${kinds[odd]}`, {
        op: 'initProcessGroup',
        fix: 'give all ranks runtimes on the same device',
      });
    }
    const addresses = await all('address', Buffer.from((await mine.bits()) as Uint8Array).toString('base64'));
    mine.dispose();
    const joined = groupConnect_(
      onDevice(rt, Uint8Array.from(Buffer.concat(addresses.map((a) => Buffer.from(a, 'base64')))), device),
      id,
      timeout,
    );
    await joined.data();
    joined.dispose();
  } catch (error) {
    meeting?.close();
    throw error;
  }
  return group;
}
