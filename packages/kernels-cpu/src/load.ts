// Finds and opens an addon: the local build first, then the platform package. One error carries every reason and its fix.
// AO_NATIVE=0 refuses native code, AO_NATIVE=<path of a .node> takes that file only; other addons have a variable of their own.
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { AoError } from '@ao/core';
import { ABI_HASH } from './abi.ts';
import { ADDON_FUNCTIONS, type Addon } from './addon.ts';
import { PROTOCOL } from './protocol.ts';

export interface Loaded {
  readonly addon: Addon;
  readonly library: string;
}

interface Host {
  readonly platform: string;
  readonly arch: string;
  readonly musl: boolean;
}

interface Manifest {
  readonly version: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** An addon of a package with the cpu's rows. */
export interface AddonSource {
  readonly package: string;
  readonly file: string;
  /** The environment variable that names another file, or refuses by 0. */
  readonly variable: string;
  /** The package's script that builds it; default build:native. */
  readonly build?: string;
  /** The extension in createRuntime({ use }). */
  readonly extension: string;
  /** The file of the package's manifest. */
  manifest(): string;
}

const cpuSource = (): AddonSource => ({
  package: '@ao/kernels-cpu',
  file: 'ao_cpu.node',
  variable: 'AO_NATIVE',
  extension: 'cpu()',
  manifest: () => createRequire(import.meta.url).resolve('../package.json'),
});

const ELF_MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };
const rebuild = (name = '@ao/kernels-cpu', script = 'build:native'): string =>
  `build it here: pnpm --filter ${name} ${script}`;

export function host(): Host {
  const { platform, arch } = process;
  if (platform !== 'linux') return { platform, arch, musl: false };
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return { platform, arch, musl: report !== undefined && report.header?.glibcVersionRuntime === undefined };
}

export function platformPackage({ platform, arch, musl }: Host, name = '@ao/kernels-cpu'): string {
  return `${name}-${platform}-${arch}${musl ? '-musl' : ''}`;
}

/** Why a file is not a shared object of this machine, or undefined. dlopen of anything else could do harm. */
export function refusal(file: string, { platform, arch }: Host): string | undefined {
  if (platform !== 'linux') return undefined;
  const header = Buffer.alloc(20);
  const fd = openSync(file, 'r');
  try {
    const size = readSync(fd, header, 0, 20, 0);
    if (size < 20 || header.readUInt32BE(0) !== 0x7f454c46) return 'is not a shared object';
  } finally {
    closeSync(fd);
  }
  const machine = header.readUInt16LE(18);
  const name = Object.keys(ELF_MACHINES).find((key) => ELF_MACHINES[key] === machine) ?? `ELF machine ${machine}`;
  return name === arch ? undefined : `is built for ${name}, this is ${arch}`;
}

/** The addon behind an opened module; throws where it was built from other sources. */
export function accept(module: unknown, library: string): Addon {
  const addon = module as Partial<Addon>;
  const missing = ADDON_FUNCTIONS.filter((name) => typeof addon?.[name] !== 'function');
  if (typeof addon?.abiHash !== 'string' || missing.length > 0) {
    throw new AoError(
      'ERR_AO_DEVICE',
      `${library} is not this package's addon (${missing.join(', ') || 'abiHash'} missing)`,
      {
        fix: rebuild(),
      },
    );
  }
  for (const [what, ours, theirs] of [
    ['kernels/cpu/exports.inc', ABI_HASH, addon.abiHash],
    ['the ring', PROTOCOL, addon.protocol],
  ]) {
    if (ours === theirs) continue;
    throw new AoError(
      'ERR_AO_DEVICE',
      `${library} was built from another ${what}: it has '${theirs}', src/abi.ts has '${ours}'`,
      {
        fix: `pnpm --filter @ao/kernels-cpu abi && pnpm --filter @ao/kernels-cpu build:native, or install equal versions of @ao/kernels-cpu and its platform package`,
      },
    );
  }
  return addon as Addon;
}

/** Opens a file, or returns the reason why it does not open. */
function open(file: string, machine: Host, require: NodeJS.Require): Loaded | string {
  if (!existsSync(file)) return 'is not there';
  const wrong = refusal(file, machine);
  if (wrong !== undefined) return wrong;
  let module: unknown;
  try {
    module = require(file);
  } catch (error) {
    return `does not open: ${error instanceof Error ? error.message : String(error)}`;
  }
  return { addon: accept(module, file), library: file };
}

/** One reason is the message and its fix; several are a list, each with its own. */
function refuse(machine: Host, reasons: readonly { reason: string; fix: string }[]): never {
  const what = `no addon for ${machine.platform}-${machine.arch}${machine.musl ? ' (musl)' : ''}`;
  const [only] = reasons;
  if (only !== undefined && reasons.length === 1)
    throw new AoError('ERR_AO_DEVICE', `${what}: ${only.reason}`, { fix: only.fix });
  const list = reasons.map(({ reason, fix }) => `${reason} (${fix})`).join('\n  ');
  throw new AoError('ERR_AO_DEVICE', `${what}:\n  ${list}`, { fix: 'one of the fixes in parentheses' });
}

/** Why the platform package cannot be found, by what this package's manifest lists. */
export function absent(name: string, manifest: Manifest, extension = 'cpu()'): { reason: string; fix: string } {
  const listed = Object.keys(manifest.optionalDependencies ?? {});
  if (listed.includes(name))
    return {
      reason: `${name} is not installed`,
      fix: `npm install ${name}@${manifest.version}, and do not omit optional dependencies`,
    };
  return {
    reason: `there is no package ${name}, only ${listed.join(' and ') || 'what a checkout builds'}`,
    fix: `leave ${extension} out of createRuntime({ use }) and run on another device, such as 'reference'`,
  };
}

export function load(native?: string, source = cpuSource()): Loaded {
  native ??= process.env[source.variable];
  const { variable, extension } = source;
  if (native === '0') {
    throw new AoError('ERR_AO_DEVICE', `${variable}=0 asks for no native code, so ${extension} cannot open`, {
      fix: `unset ${variable}, or leave ${extension} out of createRuntime({ use }) and run on another device, such as 'reference'`,
    });
  }
  const require = createRequire(import.meta.url);
  const machine = host();
  const reasons: { reason: string; fix: string }[] = [];
  const attempt = (file: string, fix: string): Loaded | undefined => {
    const result = open(file, machine, require);
    if (typeof result !== 'string') return result;
    reasons.push({ reason: `${file} ${result}`, fix });
    return undefined;
  };
  if (native !== undefined && native !== '')
    return (
      attempt(native, `${variable} names it; give the path of an ${source.file}, or unset it`) ??
      refuse(machine, reasons)
    );

  const manifest = source.manifest();
  const beside = (file: string): string => manifest.replace(/package\.json$/, file);
  // only a checkout can build one
  if (existsSync(beside('CMakeLists.txt'))) {
    const local = attempt(beside(`build/Release/${source.file}`), rebuild(source.package, source.build));
    if (local !== undefined) return local;
  }
  const name = platformPackage(machine, source.package);
  try {
    const packaged = attempt(require.resolve(`${name}/${source.file}`), `reinstall ${name}`);
    if (packaged !== undefined) return packaged;
  } catch (error) {
    if (error instanceof AoError) throw error;
    reasons.push(absent(name, require(manifest) as Manifest, source.extension));
  }
  return refuse(machine, reasons);
}
