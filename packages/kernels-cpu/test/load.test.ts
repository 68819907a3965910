// Every way the addon can be missing or wrong is told with its fix.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ABI_HASH } from '../src/abi.ts';
import { absent, accept, host, load, platformPackage, refusal } from '../src/load.ts';
import { PROTOCOL } from '../src/protocol.ts';
import { backendFor } from './helpers.ts';

const folder = mkdtempSync(join(tmpdir(), 'ao-load-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: Uint8Array | string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const elf = (machine: number): Uint8Array => {
  const header = new Uint8Array(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header[18] = machine;
  return header;
};
const linux = { platform: 'linux', arch: 'x64', musl: false };

describe('load', () => {
  it('opens the addon built here, which fits the sources', () => {
    const { addon, library } = load();
    expect(addon.abiHash).toBe(ABI_HASH);
    expect(addon.protocol).toBe(PROTOCOL);
    expect(library).toMatch(/ao_cpu\.node$/);
    expect(backendFor().info()).toMatchObject({
      library,
      isa: expect.stringMatching(/portable|avx2|avx512|neon|dotprod|i8mm/) as string,
    });
  });

  it('is refused by AO_NATIVE=0', () => {
    expect(() => load('0')).toThrow(expect.objectContaining({ code: 'ERR_AO_DEVICE' }));
    expect(() => load('0')).toThrow(/AO_NATIVE=0.*Fix: unset AO_NATIVE, or leave cpu\(\) out/);
  });

  it('says why the file that AO_NATIVE names does not open', () => {
    expect(() => load(join(folder, 'absent.node'))).toThrow(/absent\.node is not there/);
    expect(() => load(file('text.node', 'just some text, longer than a header'))).toThrow(/is not a shared object/);
    expect(() => load(file('empty.node', ''))).toThrow(/is not a shared object/);
    const broken = file('broken.node', elf(process.arch === 'x64' ? 62 : 183));
    expect(() => load(broken)).toThrow(/does not open: .*broken\.node/);
  });

  it('never opens a shared object of another machine', () => {
    expect(refusal(file('arm.node', elf(183)), linux)).toBe('is built for arm64, this is x64');
    expect(refusal(file('riscv.node', elf(243)), linux)).toBe('is built for ELF machine 243, this is x64');
    expect(refusal(file('x64.node', elf(62)), linux)).toBeUndefined();
  });

  it('names the platform package, also of musl', () => {
    expect(platformPackage(linux)).toBe('@ao/kernels-cpu-linux-x64');
    expect(platformPackage({ ...linux, musl: true })).toBe('@ao/kernels-cpu-linux-x64-musl');
    expect(platformPackage({ platform: 'darwin', arch: 'arm64', musl: false })).toBe('@ao/kernels-cpu-darwin-arm64');
    expect(host()).toMatchObject({ platform: process.platform, arch: process.arch });
  });

  it('tells what to install, or that there is nothing to install', () => {
    const manifest = { version: '1.2.3', optionalDependencies: { '@ao/kernels-cpu-linux-x64': '1.2.3' } };
    expect(absent('@ao/kernels-cpu-linux-x64', manifest)).toEqual({
      reason: '@ao/kernels-cpu-linux-x64 is not installed',
      fix: expect.stringContaining('npm install @ao/kernels-cpu-linux-x64@1.2.3') as string,
    });
    expect(absent('@ao/kernels-cpu-darwin-arm64', manifest)).toEqual({
      reason: 'there is no package @ao/kernels-cpu-darwin-arm64, only @ao/kernels-cpu-linux-x64',
      fix: expect.stringContaining("'reference'") as string,
    });
  });

  it('refuses an addon of other rows, naming both and the fix, and a module that is none', () => {
    const { addon } = load();
    expect(() => accept({ ...addon, abiHash: '0123456789abcdef' }, 'x.node')).toThrow(
      new RegExp(`x\\.node .*'0123456789abcdef'.*'${ABI_HASH}'.*build:native`),
    );
    expect(() => accept({ ...addon, protocol: 'ring-0' }, 'x.node')).toThrow(/'ring-0'/);
    expect(() => accept({}, 'x.node')).toThrow(/not this package's addon/);
    expect(() => accept(undefined, 'x.node')).toThrow(/not this package's addon/);
    expect(accept(addon, 'x.node')).toBe(addon);
  });
});
