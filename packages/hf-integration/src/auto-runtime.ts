// autoRuntime(): a runtime that uses whichever @ao packages are installed. What is absent is said once, with its reason.
import { createRuntime, type Extension, isAoError, type Log, type Runtime } from '@ao/core';
import { hfIntegration } from './extension.ts';

export interface AutoRuntimeOptions {
  /** 'auto' = the fastest backend that loads; a backend's name demands that one. */
  readonly device?: string;
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
  load(): Promise<Extension>;
}

// literal imports, so that bundlers see them
const OPTIONAL: readonly Optional[] = [
  { package: '@ao/quantization', load: async () => (await import('@ao/quantization')).quantization() },
  { package: '@ao/kernels-cpu', backend: 'cpu', load: async () => (await import('@ao/kernels-cpu')).cpu() },
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
  const { device = 'auto', log = warnings } = options;
  const findings = new Map<string, Finding>();
  const use: Extension[] = [hfIntegration(), ...(options.use ?? [])];
  for (const { package: name, backend, load } of OPTIONAL) {
    const finding = { package: name, ...(backend === undefined ? {} : { backend }) };
    const refuse = (reason: string): unknown => findings.set(name, { ...finding, loaded: false, reason });
    const unwanted = backend === undefined ? undefined : refusal(backend, device);
    if (unwanted !== undefined) {
      refuse(unwanted);
      continue;
    }
    try {
      const extension = await load();
      findings.set(name, { ...finding, loaded: true });
      use.push(device === backend ? extension : tolerant(extension, (error) => refuse(error.message)));
    } catch (error) {
      if (device === backend) throw error;
      refuse(notInstalled(error, name) ? `${name} is not installed (npm install ${name})` : (error as Error).message);
    }
  }
  const runtime = await createRuntime({
    use,
    ...(device === 'auto' ? {} : { device }),
    log,
  });
  const all = [...findings.values()];
  const failed = all.filter((f) => f.backend !== undefined && !f.loaded);
  if (device === 'auto' && runtime.device === 'reference' && process.env['AO_NATIVE'] !== '0') {
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

function refusal(backend: string, device: string): string | undefined {
  if (process.env['AO_NATIVE'] === '0') return 'AO_NATIVE=0';
  return device === 'auto' || device === backend ? undefined : `device '${device}' was asked for`;
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
