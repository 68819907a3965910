// optionalModel(name): a real model that tests use where it is. It lies under $AO_CACHE (default .cache/ao-peers in the home folder).
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Runtime } from '@ao/core';
import { afterAll } from 'vitest';
import { autoRuntime } from '../src/auto-runtime.ts';

export interface OptionalModel {
  readonly folder: string;
  /** Closed after the tests. */
  readonly runtime: Runtime;
  /** Why tests with it are skipped, which is printed; undefined where they run. */
  readonly reason: string | undefined;
}

export async function optionalModel(name: string): Promise<OptionalModel> {
  const folder = join(process.env['AO_CACHE'] ?? join(homedir(), '.cache', 'ao-peers'), name);
  const runtime = await autoRuntime();
  const reason = !existsSync(join(folder, 'config.json'))
    ? `${folder} is not there (AO_CACHE names the folder of models)`
    : runtime.device === 'reference'
      ? 'too slow without a native backend'
      : undefined;
  if (reason !== undefined) console.warn(`skipped: ${reason}`);
  afterAll(() => runtime.close());
  return { folder, runtime, reason };
}
