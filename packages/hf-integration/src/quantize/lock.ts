// takeLock(path): one process at a time works in a folder. The lock holds a process id; that of a process that is gone is void.
import { open, readFile, rm } from 'node:fs/promises';
import { AoError } from '@ao/core';

/** Returns what gives it up. Throws ERR_AO_CONFIG where a living process holds it. */
export async function takeLock(path: string, folder: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      const handle = await open(path, 'wx');
      await handle.write(String(process.pid));
      await handle.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const pid = Number(await readFile(path, 'utf8').catch(() => ''));
    if (Number.isInteger(pid) && pid > 0 && isAlive(pid)) {
      throw new AoError('ERR_AO_CONFIG', `process ${pid} works in ${folder} already`, {
        fix: `wait for it, or end it; where that process is another program, delete ${path}`,
      });
    }
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
