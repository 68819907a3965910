import { expect, it } from 'vitest';
import { launched } from './launched.ts';

type Told = Readonly<Record<string, string>>;

it('a rank that does something else, does not come or dies is named to the others, and the launcher ends them', async () => {
  const { code, told, text } = await launched<Told>('failures', 2);
  expect(text).toMatch(/rank 1 of 2 \(process \d+\) exited with code 3; the other ranks are ended/);
  expect(code).toBe(3);
  const [zero, one] = told;
  const whats = `${zero!['mismatch']}\n${one!['mismatch']}`;
  // whoever reads the other's message first says what it found; the other may find the connection closed
  expect(whats).toMatch(
    /rank 0 of 2, all_reduce of bfloat16\[8\] by sum, its call 1: rank 1 does all_gather of bfloat16\[9\]|rank 1 of 2, all_gather of bfloat16\[9\], its call 1: rank 0 does all_reduce of bfloat16\[8\] by sum/,
  );
  for (const t of told) {
    expect(t['mismatch']).toMatch(/^ERR_AO_STREAM all_(reduce_|gather): /);
    expect(t['afterwards']).toMatch(/the process group broke earlier: rank \d of 2/);
    expect(t['dtype']).toMatch(/ERR_AO_DTYPE all_reduce_: .*int32\[2\] cannot be summed over ranks/);
  }
  expect(zero!['late']).toMatch(
    /rank 0 of 2, all_reduce of float32\[2\] by sum, its call 1: rank 1 did not come for 1 s/,
  );
  expect(zero!['died']).toMatch(
    /rank 0 of 2, all_reduce of float32\[100000\].*: rank 1 has closed the connection: it failed or left/,
  );
});
