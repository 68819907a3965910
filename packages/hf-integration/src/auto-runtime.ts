// autoRuntime(): a runtime that uses whichever @ao packages are installed. What is absent is said once, with its reason.
import { createRuntime, type Extension, type Log, type Runtime } from '@ao/core';
import { hfIntegration } from './extension.ts';

export interface AutoRuntimeOptions {
  /** 'auto' = the fastest backend that loads; a backend's name demands that one. */
  readonly device?: string;
  readonly log?: Log;
}

export interface Finding {
  readonly package: string;
  readonly loaded: boolean;
  /** Why not. */
  readonly reason?: string;
}

type Load = () => Promise<Extension>;

// literal imports, so that bundlers see them
const OPTIONAL: readonly { readonly package: string; readonly backend?: string; readonly load: Load }[] = [
  { package: '@ao/quantization', load: async () => (await import('@ao/quantization')).quantization() },
  { package: '@ao/kernels-cpu', backend: 'cpu', load: async () => (await import('@ao/kernels-cpu')).cpu() },
];

export async function autoRuntime(options: AutoRuntimeOptions = {}): Promise<Runtime> {
  return (await probeRuntime(options)).runtime;
}

/** The runtime and what was found on the way: the substance of a doctor. */
export async function probeRuntime(
  options: AutoRuntimeOptions = {},
): Promise<{ runtime: Runtime; findings: readonly Finding[] }> {
  const { device = 'auto', log } = options;
  const findings: Finding[] = [];
  const use: Extension[] = [hfIntegration()];
  const backends: Extension[] = [];
  for (const { package: name, backend, load } of OPTIONAL) {
    if (backend !== undefined && (device === 'reference' || disabled())) {
      findings.push({
        package: name,
        loaded: false,
        reason: disabled() ? 'AO_NATIVE=0' : `device '${device}' was asked for`,
      });
      continue;
    }
    try {
      (backend === undefined ? use : backends).push(await load());
      findings.push({ package: name, loaded: true });
    } catch (error) {
      findings.push({ package: name, loaded: false, reason: (error as Error).message });
    }
  }
  const make = (extensions: readonly Extension[]): Promise<Runtime> =>
    createRuntime({ use: extensions, ...(device === 'auto' ? {} : { device }), ...(log === undefined ? {} : { log }) });
  try {
    return { runtime: await make([...use, ...backends]), findings };
  } catch (error) {
    if (device !== 'auto' || backends.length === 0) throw error;
    const reason = (error as Error).message;
    for (const [i, f] of findings.entries()) {
      if (f.loaded && OPTIONAL[i]?.backend !== undefined) findings[i] = { package: f.package, loaded: false, reason };
    }
    log?.({
      level: 'warn',
      code: 'no-native',
      message: `the native backend did not load; running on the slow reference backend. ${reason}`,
    });
    return { runtime: await make(use), findings };
  }
}

function disabled(): boolean {
  return globalThis.process?.env?.['AO_NATIVE'] === '0';
}
