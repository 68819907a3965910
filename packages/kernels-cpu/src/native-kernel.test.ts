// Kernels of a library outside this package, compiled here with the system's compiler: order, replay, failures, bad libraries.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  add,
  createRuntime,
  type Dense,
  defineOp,
  kernel,
  Module,
  mul,
  scope,
  type Tensor,
  tensor,
  zeros,
} from '@ao/core';
import { afterAll, describe, expect, it } from 'vitest';
import { address, cpu, nativeKernel } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'ao-plugin-'));

/** A shared library of this source; returns its path. */
function library(name: string, source: string): string {
  const [from, to] = [join(folder, `${name}.cc`), join(folder, `${name}.so`)];
  writeFileSync(from, `#include "ao/plugin.h"\n${source}`);
  const include = fileURLToPath(new URL('../../../kernels/cpu/include', import.meta.url));
  const options = ['-std=c++17', '-O1', '-ffp-contract=off', '-shared', '-fPIC', '-Wall', '-Werror', '-I', include];
  execFileSync(process.env['CXX'] ?? 'c++', [...options, from, '-o', to], { stdio: 'pipe' });
  return to;
}

const good = library(
  'good',
  `
  struct Job { float* out; const float* x; float* copies; double scale; };
  static void part(void* arg, int64_t begin, int64_t end, int thread) {
    Job* job = static_cast<Job*>(arg);
    for (int64_t i = begin; i < end; i++) {
      job->copies[thread] = job->x[i];
      job->out[i] = static_cast<float>(job->copies[thread] * job->scale);
    }
  }
  // out[i] = x[i] * scale, on all threads and through scratch memory; fails where x[0] is negative
  static int scaled(const double* r, ao_ctx* ctx) {
    Job job = {reinterpret_cast<float*>(static_cast<uintptr_t>(r[0])),
               reinterpret_cast<const float*>(static_cast<uintptr_t>(r[1])), nullptr, r[3]};
    if (job.x[0] < 0) return ao_plugin_fail(ctx, "x[0] is negative");
    const size_t threads = static_cast<size_t>(ao_plugin_host->threads(ctx));
    job.copies = static_cast<float*>(ao_plugin_host->scratch(ctx, threads * sizeof(float)));
    ao_plugin_host->parallel_for(ctx, static_cast<int64_t>(r[2]), 16, part, &job);
    return 0;
  }
  // out[i] += values[i] of an inline array
  static int added_(const double* r, ao_ctx*) {
    for (int i = 0; i < 3; i++) reinterpret_cast<float*>(static_cast<uintptr_t>(r[0]))[i] += static_cast<float>(r[1 + i]);
    return 0;
  }
  static const ao_field scaled_fields[] = {{"out", 'o', 1}, {"x", 'i', 1}, {"n", 'n', 1}, {"scale", 'f', 1}};
  static const ao_field added_fields[] = {{"out", 'b', 1}, {"values", 'v', 3}};
  static const ao_entry entries[] = {{"scaled", scaled_fields, 4, 4, scaled}, {"added_", added_fields, 2, 4, added_}};
  AO_PLUGIN(entries)`,
);
const scaledNative = nativeKernel(good, 'scaled');
const scaled = defineOp<[x: Tensor, scale: number]>('test_plugin_scaled', {
  meta: (x) => ({ shape: x.shape, dtype: x.dtype }),
});
const entries = [kernel(scaled, 'cpu', (out, x, scale) => scaledNative(out, address(out), address(x), x.numel, scale))];

const rt = await createRuntime({ use: [cpu(), { name: 'test', entries }] });
const ramp = (n: number): Dense =>
  tensor(
    rt,
    Float32Array.from({ length: n }, (_, i) => i + 1),
  );
afterAll(async () => {
  await rt.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a kernel of a library', () => {
  it('runs between kernels of this package, in order', async () => {
    const x = ramp(1000);
    const y = scope(() => {
      let t: Tensor = x;
      for (let i = 0; i < 50; i++) t = add(scaled(mul(t, 2), 0.5), 1);
      return t;
    });
    expect(await y.data()).toEqual((await x.data()).map((v) => v + 50));
  });

  it('takes inline arrays and writes in place', async () => {
    const x = ramp(3);
    nativeKernel(good, 'added_')(x, address(x), 10, 20, 30.5);
    expect([...(await x.data())]).toEqual([11, 22, 33.5]);
  });

  it('is recorded by a capture and replayed with other inputs', async () => {
    const f = (x: Tensor) => scope(() => add(scaled(mul(x, 3), 0.25), x));
    const plan = rt.capture(f, zeros(rt, [100]));
    expect(plan.commands).toBe(3);
    for (const x of [ramp(100), add(ramp(100), 7)]) {
      const [y] = plan.replay(x);
      expect(await y?.bits()).toEqual(await f(x).bits());
    }
    plan.dispose();
  });

  it('runs in several runtimes at a time', async () => {
    const other = await createRuntime({ use: [{ name: 'test', entries }, cpu()] });
    const [a, b] = [scaled(tensor(other, [1, 2]), 3), scaled(tensor(rt, [1, 2]), 4)];
    expect([...(await a.data()), ...(await b.data())]).toEqual([3, 6, 4, 8]);
    await other.close();
  });
});

describe('a kernel of a library that fails', () => {
  const failure = {
    code: 'ERR_AO_STREAM',
    op: 'test_plugin_scaled',
    message: expect.stringMatching(/x\[0\] is negative/),
  };

  it('poisons what it writes and what comes of that, with op, module and reason', async () => {
    class Bad extends Module {
      forward(x: Tensor): Tensor {
        return scaled(x, 2);
      }
    }
    class Model extends Module {
      readonly bad = new Bad();
      forward(x: Tensor): Tensor {
        return add(this.bad.call(x), 1);
      }
    }
    const y = new Model().named().call(tensor(rt, [-1, 2]));
    await expect(y.data()).rejects.toMatchObject({ ...failure, module: 'bad' });
    expect(() => y.dataSync()).toThrow(/x\[0\] is negative/);
    expect([...(await scaled(tensor(rt, [1, 2]), 2).data())]).toEqual([2, 4]);
  });

  it('poisons a replay, and the next one is sound again', async () => {
    const plan = rt.capture((x) => scaled(add(x, 0), 2), zeros(rt, [2]));
    const [bad] = plan.replay(tensor(rt, [-1, 1]));
    await expect(bad?.data()).rejects.toMatchObject({ ...failure, message: expect.stringMatching(/step 1 of plan/) });
    const [fine] = plan.replay(tensor(rt, [1, 1]));
    expect([...((await fine?.data()) ?? [])]).toEqual([2, 2]);
    plan.dispose();
  });
});

describe('what cannot run is an error at the call', () => {
  const x = ramp(4);
  const call = (path: string, name = 'scaled', ...record: number[]) => {
    try {
      nativeKernel(path, name)(x, ...record);
    } catch (error) {
      return error as Error & { readonly code: string; readonly op: string };
    }
    throw new Error('nothing was thrown');
  };
  const table = (row: string, body = 'return 0;') => `
    static int run(const double*, ao_ctx*) { ${body} }
    static const ao_field fields[] = {{"out", 'o', 1}, {"n", 'n', 1}};
    static const ao_entry entries[] = {{"fine", fields, 2, 2, run}, ${row}};
    AO_PLUGIN(entries)`;

  it('names a library that is not there, or is none', () => {
    const missing = join(folder, 'missing.so');
    expect(call(missing)).toMatchObject({
      code: 'ERR_AO_KERNEL',
      op: 'scaled',
      message: expect.stringContaining(missing),
    });
    const text = join(folder, 'text.so');
    writeFileSync(text, 'no library');
    expect(call(text).message).toMatch(/text\.so cannot be used: .*(too short|invalid ELF)/);
  });

  it('says what a library without a table lacks', () => {
    const path = library('bare', 'extern "C" int other() { return 0; }');
    expect(call(path).message).toMatch(/ao_plugin_open_1.*AO_PLUGIN/);
  });

  it.each([
    ['length', '{"bad", fields, 2, 3, run}'],
    ['kind', '{"bad", wrong_kind, 1, 1, run}'],
    ['kind of 0', '{"bad", no_kind, 1, 1, run}'],
    ['count', '{"bad", wrong_count, 1, 2, run}'],
    ['run', '{"bad", fields, 2, 2, nullptr}'],
    ['name', '{nullptr, fields, 2, 2, run}'],
  ])('refuses a description with a wrong %s', (what, row) => {
    const more = `static const ao_field wrong_kind[] = {{"out", 'x', 1}};
      static const ao_field no_kind[] = {{"out", 0, 1}};
      static const ao_field wrong_count[] = {{"out", 'o', 2}};
      static const void* used[] __attribute__((unused)) = {wrong_kind, no_kind, wrong_count};`;
    expect(call(library(`wrong-${what.replaceAll(' ', '-')}`, more + table(row)), 'fine', 0, 0).message).toMatch(
      /kernel 1 is badly described/,
    );
  });

  it('lists the kernels of a library that lacks the one', () => {
    expect(call(good, 'scalde')).toMatchObject({
      code: 'ERR_AO_KERNEL',
      message: expect.stringMatching(/no kernel 'scalde'; it has scaled, added_/),
    });
  });

  it('counts the values of a record', () => {
    expect(call(good, 'scaled', address(x), address(x), 4).message).toMatch(/takes 4 values, it got 3/);
  });

  it('wants a tensor on the cpu', () => {
    const elsewhere = tensor(rt, [1], { device: 'reference' });
    expect(() => scaledNative(elsewhere, 0, 0, 0, 0)).toThrow(/on reference; it runs on cpu/);
  });
});
