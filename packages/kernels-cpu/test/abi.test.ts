// src/abi.ts follows kernels/cpu/exports.inc, and its methods write the records that the kernels read.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ABI_HASH, Calls } from '../src/abi.ts';
import { load } from '../src/load.ts';

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const abi = (await import('../scripts/abi.mjs' as string)) as {
  parse(source: string): { name: string; text: string; fields: { kind: string; name: string; count: number }[] }[];
  hash(rows: unknown): string;
};

describe('abi.ts', () => {
  it('is in sync with exports.inc and with the addon', () => {
    execFileSync(process.execPath, [at('scripts/abi.mjs'), '--check'], { stdio: 'pipe' });
    const rows = abi.parse(readFileSync(at('../../kernels/cpu/exports.inc'), 'utf8'));
    expect(abi.hash(rows)).toBe(ABI_HASH);
    expect(load().addon.abiHash).toBe(ABI_HASH);
    expect(rows.map((row) => row.name)).toEqual(
      Object.getOwnPropertyNames(Calls.prototype).filter((name) => name !== 'constructor'),
    );
  });

  it('reads rows as the preprocessor does', () => {
    const [row, second] = abi.parse(
      '// a comment\nAO_FN(f, OUT(out)  IN( x )\n  V(s, 3)\tF(eps)) // more\nAO_FN( g ,I(n))',
    );
    expect(row).toMatchObject({ name: 'f', text: 'OUT(out) IN( x ) V(s, 3) F(eps)' });
    expect(row?.fields).toEqual([
      { kind: 'OUT', name: 'out', count: 1 },
      { kind: 'IN', name: 'x', count: 1 },
      { kind: 'V', name: 's', count: 3 },
      { kind: 'F', name: 'eps', count: 1 },
    ]);
    expect(second).toMatchObject({ name: 'g', text: 'I(n)' });
    expect(abi.hash([])).toBe('cbf29ce484222325');
    expect(() => abi.parse('AO_FN(f, OUT(out)')).toThrow(/not closed/);
    expect(() => abi.parse('AO_FN(f, PTR(x))')).toThrow(/row f: no field/);
  });

  it('writes a command as [row, fields...], arrays padded with zeros', () => {
    const records = new Float64Array(32).fill(-1);
    const committed: number[] = [];
    const calls = new Calls({ records, reserve: () => 3, commit: (length) => committed.push(length) });
    calls.copy_strided(11, 12, 0, 2, 2, [4, 5], [5, 1], Int32Array.of(1, 4));
    expect(committed).toEqual([24]);
    expect([...records.subarray(3, 27)]).toEqual([
      1, 11, 12, 0, 2, 2, 4, 5, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0,
    ]);
    expect(records[27]).toBe(-1);
    expect(() => calls.copy_strided(1, 2, 0, 0, 7, [1, 1, 1, 1, 1, 1, 1], [], [])).toThrow(
      /shape has 7 values, the kernel takes 6/,
    );
    expect(committed).toEqual([24]);
  });
});
