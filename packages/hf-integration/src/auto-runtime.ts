// autoRuntime(): a runtime that uses whichever @ao packages are installed. What is absent is said once, with its reason.
import { createRuntime, type Extension, isAoError, type Log, type Runtime } from '@ao/core';
import { hfIntegration } from './extension.ts';

export interface AutoRuntimeOptions {
  /** 'auto' = the fastest backend that loads: 'cuda' where a GPU can be used, else 'cpu'. A name demands that one; 'cuda:1' is the second GPU. */
  readonly device?: string;
  /** Backends that must open, the first for what is made without naming one; 'all' = every GPU, and what else loads. */
  readonly devices?: 'all' | readonly string[];
  /** Default: warnings go to console.warn, a line each. */
  readonly log?: Log;
  /** Further extensions. */
  readonly use?: readonly Extension[];
}

const warnings: Log = ({ level, message }) => {
  if (level === 'warn') console.warn(`ao: ${message}`);
};

export interface Finding {
  readonly package: string;
  /** The device that it gives. */
  readonly backend?: string;
  readonly loaded: boolean;
  /** Why not. */
  readonly reason?: string;
}

interface Optional {
  readonly package: string;
  readonly backend?: string;
  /** `devices`: which of its devices, 'all' of them, or nothing asked. */
  load(devices: 'all' | readonly string[]): Promise<readonly Extension[]>;
}

// literal imports, so that bundlers see them
const OPTIONAL: readonly Optional[] = [
  { package: '@ao/quantization', load: async () => [(await import('@ao/quantization')).quantization()] },
  {
    package: '@ao/kernels-cuda',
    backend: 'cuda',
    load: async (devices) => (await import('@ao/kernels-cuda')).gpus(devices),
  },
  { package: '@ao/kernels-cpu', backend: 'cpu', load: async () => [(await import('@ao/kernels-cpu')).cpu()] },
];

/** Devices that autoRuntime can give. */
export const autoDevices = (): string[] => [...OPTIONAL.flatMap((o) => o.backend ?? []), 'reference'];

export async function autoRuntime(options: AutoRuntimeOptions = {}): Promise<Runtime> {
  return (await probeRuntime(options)).runtime;
}

/** The runtime and what was found on the way: the substance of a doctor. */
export async function probeRuntime(
  options: AutoRuntimeOptions = {},
): Promise<{ runtime: Runtime; findings: readonly Finding[] }> {
  const { log = warnings } = options;
  const device = options.device === 'cuda:0' ? 'cuda' : (options.device ?? 'auto');
  const asked = options.devices ?? (device === 'auto' ? [] : [device]);
  const findings = new Map<string, Finding>();
  const use: Extension[] = [hfIntegration(), ...(options.use ?? [])];
  for (const { package: name, backend, load } of OPTIONAL) {
    const finding = { package: name, ...(backend === undefined ? {} : { backend }) };
    const refuse = (reason: string): unknown => findings.set(name, { ...finding, loaded: false, reason });
    const mine = asked === 'all' ? asked : asked.filter((name) => name.replace(/:.*/, '') === backend);
    const demanded = mine !== 'all' && mine.length > 0;
    const unwanted = backend === undefined ? undefined : refusal(demanded, asked);
    if (unwanted !== undefined) {
      refuse(unwanted);
      continue;
    }
    try {
      const extensions = await load(mine);
      findings.set(name, { ...finding, loaded: true });
      for (const one of extensions) use.push(demanded ? one : tolerant(one, (error) => refuse(error.message)));
    } catch (error) {
      if (demanded) throw error;
      refuse(notInstalled(error, name) ? `${name} is not installed (npm install ${name})` : (error as Error).message);
    }
  }
  const runtime = await createRuntime({
    use,
    ...(asked === 'all' || asked.length === 0 ? {} : { device: asked[0]! }),
    log,
  });
  const all = [...findings.values()];
  const failed = all.filter((f) => f.backend !== undefined && !f.loaded);
  if (asked.length === 0 && runtime.device === 'reference' && process.env['AO_NATIVE'] !== '0') {
    const reasons = failed.map((f) => `${f.backend}: ${f.reason}`.replace(/\s*\n\s*/g, ' ')).join('; ');
    const message = `no native backend loaded, running on the slow reference backend. ${reasons}`;
    runtime.say({ level: 'warn', code: 'no-native', message });
  }
  return { runtime, findings: all };
}

/** Node's two codes, of import and of require, for a package that is not there. */
const notInstalled = (error: unknown, name: string): boolean =>
  /^(ERR_)?MODULE_NOT_FOUND$/.test(String((error as { code?: string }).code)) &&
  (error as Error).message.includes(`'${name}'`);

function refusal(demanded: boolean, asked: 'all' | readonly string[]): string | undefined {
  if (process.env['AO_NATIVE'] === '0') return 'AO_NATIVE=0';
  return demanded || asked === 'all' || asked.length === 0 ? undefined : `device '${asked.join("', '")}' was asked for`;
}

/** The extension, whose backend may be absent: then its kernels have nothing to run on, and all else works. */
function tolerant(extension: Extension, refuse: (error: Error) => void): Extension {
  const { open } = extension;
  if (!open) return extension;
  return {
    ...extension,
    async open(rt) {
      try {
        return await open.call(extension, rt);
      } catch (error) {
        // a wrong setting is the caller's to mend: it is not a backend that is absent
        if (isAoError(error, 'ERR_AO_CONFIG')) throw error;
        refuse(error as Error);
        return undefined;
      }
    },
  };
}
