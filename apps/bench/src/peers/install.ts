// stub replaced below
import type { Part } from './where.ts';
export async function install(_parts: readonly Part[]): Promise<void> {}
