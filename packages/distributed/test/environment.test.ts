import { expect, it } from 'vitest';
import { firstHost } from '../src/environment.ts';
import { distributedDataset, launch, launchEnvironment } from '../src/index.ts';

it('reads torchrun, mpirun and SLURM, and is rank 0 of 1 without them', () => {
  const torchrun = { RANK: '3', WORLD_SIZE: '8', LOCAL_RANK: '1', MASTER_ADDR: 'a', MASTER_PORT: '7' };
  expect(launchEnvironment(torchrun)).toEqual({ rank: 3, size: 8, localRank: 1, address: 'a', port: 7 });
  // torchrun's agent has the port itself
  expect(launchEnvironment({ ...torchrun, TORCHELASTIC_USE_AGENT_STORE: 'True' }).port).toBe(8);
  const ompi = { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '2', OMPI_COMM_WORLD_LOCAL_RANK: '1' };
  expect(launchEnvironment({ ...ompi, OMPI_COMM_WORLD_LOCAL_SIZE: '2' })).toMatchObject({
    rank: 1,
    address: '127.0.0.1',
  });
  expect(launchEnvironment({ PMI_RANK: '1', PMI_SIZE: '2', MPI_LOCALRANKID: '1' })).toMatchObject({
    rank: 1,
    localRank: 1,
  });
  const slurm = {
    SLURM_PROCID: '5',
    SLURM_NTASKS: '8',
    SLURM_LOCALID: '1',
    SLURM_STEP_NODELIST: 'gpu[03-05,9],x',
    SLURM_JOB_ID: '4321',
  };
  expect(launchEnvironment(slurm)).toEqual({ rank: 5, size: 8, localRank: 1, address: 'gpu03', port: 29821 });
  expect(launchEnvironment({})).toMatchObject({ rank: 0, size: 1 });
  expect([firstHost('one'), firstHost('n[7],m'), firstHost('a,b')]).toEqual(['one', 'n7', 'a']);
});

it('says which variable cannot be', async () => {
  expect(() => launchEnvironment({ RANK: 'x', WORLD_SIZE: '2' })).toThrow(/RANK is 'x'/);
  expect(() => launchEnvironment({ RANK: '2', WORLD_SIZE: '2' })).toThrow(/RANK is 2, WORLD_SIZE is 2/);
  expect(() => launchEnvironment({ RANK: '4', WORLD_SIZE: '8', LOCAL_RANK: '0', LOCAL_WORLD_SIZE: '4' })).toThrow(
    /MASTER_ADDR is not set/,
  );
  await expect(launch({ nproc: 0, script: 'x' })).rejects.toThrow(/nproc is 0/);
  await expect(launch({ nproc: 1, nnodes: 2, script: 'x' })).rejects.toThrow(/without masterAddr/);
});

it('gives each rank rows of its own', async () => {
  const data = { length: 7, blockSize: 4, rows: async (indices: readonly number[]) => indices };
  const [zero, one] = [0, 1].map((rank) => distributedDataset(data, { rank, size: 2 }));
  expect([zero!.length, zero!.blockSize]).toEqual([3, 4]);
  expect([await zero!.rows([0, 1, 2]), await one!.rows([2, 0])]).toEqual([
    [0, 2, 4],
    [5, 1],
  ]);
  expect(() => distributedDataset(data, { rank: 0, size: 8 })).toThrow(/7 rows for 8 ranks/);
});
