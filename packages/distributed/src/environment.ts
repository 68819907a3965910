// Which of how many processes this is, as launchers say it: torchrun's variables first, then mpirun's (Open MPI; PMI of MPICH and Intel MPI) and
// SLURM's. Without any of them: rank 0 of 1.
import { AoError } from '@ao/core';

export interface LaunchEnvironment {
  readonly rank: number;
  readonly size: number;
  /** Among the processes of this machine: which GPU is this process's. */
  readonly localRank: number;
  /** Where rank 0 is met. */
  readonly address: string;
  readonly port: number;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Names of rank, size and local rank by launcher. */
const LAUNCHERS: readonly (readonly [rank: string, size: string, local: string])[] = [
  ['RANK', 'WORLD_SIZE', 'LOCAL_RANK'],
  ['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'],
  ['PMI_RANK', 'PMI_SIZE', 'MPI_LOCALRANKID'],
  ['SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'],
];

const PORT = 29500;

function whole(env: Variables, name: string, least: number): number {
  const text = env[name];
  const value = Number(text);
  if (text !== undefined && text !== '' && Number.isInteger(value) && value >= least) return value;
  throw new AoError('ERR_AO_CONFIG', `${name} is '${text ?? ''}'`, { fix: `give a whole number from ${least}` });
}

/** 'node[03-05,9],other' -> 'node03'. */
export function firstHost(list: string): string {
  const [, name = '', first = ''] = /^([^,[]+)(?:\[([^\],-]+))?/.exec(list) ?? [];
  return name + first;
}

function addressOf(env: Variables, sameMachine: boolean): string {
  const given = env['MASTER_ADDR'];
  if (given !== undefined && given !== '') return given;
  const nodes = env['SLURM_STEP_NODELIST'] ?? env['SLURM_JOB_NODELIST'];
  if (nodes !== undefined && nodes !== '') return firstHost(nodes);
  if (sameMachine) return '127.0.0.1';
  throw new AoError('ERR_AO_CONFIG', 'the ranks are on several machines, and MASTER_ADDR is not set', {
    fix: 'set MASTER_ADDR to the host of rank 0, and MASTER_PORT to a free port there',
  });
}

function portOf(env: Variables): number {
  const given = env['MASTER_PORT'];
  if (given === undefined || given === '') return PORT + (Number(env['SLURM_JOB_ID'] ?? 0) % 1000);
  // torchrun's agent listens on its port itself
  return whole(env, 'MASTER_PORT', 1) + (env['TORCHELASTIC_USE_AGENT_STORE'] === 'True' ? 1 : 0);
}

/** Reads the variables of torchrun, mpirun or SLURM; throws ERR_AO_CONFIG naming the one that cannot be. */
export function launchEnvironment(env: Variables = process.env): LaunchEnvironment {
  const launcher = LAUNCHERS.find(([rank, size]) => env[rank] !== undefined && env[size] !== undefined);
  if (launcher === undefined) return { rank: 0, size: 1, localRank: 0, address: '127.0.0.1', port: PORT };
  const [rankName, sizeName, localName] = launcher;
  const size = whole(env, sizeName, 1);
  const rank = whole(env, rankName, 0);
  if (rank >= size) {
    throw new AoError('ERR_AO_CONFIG', `${rankName} is ${rank}, ${sizeName} is ${size}`, {
      fix: 'ranks are 0 to size - 1',
    });
  }
  const localRank = env[localName] === undefined ? rank : whole(env, localName, 0);
  const localSize = env['LOCAL_WORLD_SIZE'] ?? env['OMPI_COMM_WORLD_LOCAL_SIZE'] ?? env['MPI_LOCALNRANKS'];
  const sameMachine = localSize === undefined ? localRank === rank : Number(localSize) === size;
  return { rank, size, localRank, address: addressOf(env, sameMachine), port: portOf(env) };
}
