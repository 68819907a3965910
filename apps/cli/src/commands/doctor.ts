// ao doctor: what this machine can do and why not more.
import { cpus, totalmem } from 'node:os';
import { probeRuntime } from '@ao/hf-integration';
import { bytes, print, printJson } from '../output.ts';

interface BackendState {
  readonly name: string;
  readonly available: boolean;
  /** The one that is used unless another is asked for. */
  readonly default?: boolean;
  readonly info?: Readonly<Record<string, unknown>>;
  readonly reason?: string;
}

/** What there is of CUDA: versions, the driver that these kernels need, GPUs and libraries; nothing where the addon does not open. */
async function cuda(): Promise<Readonly<Record<string, unknown>>> {
  try {
    const { report, libraries } = await import('@ao/kernels-cuda');
    const { reason, driver, runtime, driverFloor, devices } = report();
    return {
      driver: driver === '' ? 'none' : `runs CUDA ${driver}`,
      builtFor: `CUDA ${runtime}, which needs driver ${driverFloor} or newer`,
      ...Object.fromEntries(devices.map((gpu, i) => [`gpu ${i}`, gpu])),
      ...(reason !== ''
        ? {}
        : Object.fromEntries(libraries().map(({ name, file, why }) => [name, file || `${why}: own kernels instead`]))),
    };
  } catch {
    return {};
  }
}

export async function doctor(options: { readonly json?: boolean }): Promise<void> {
  const notes: string[] = [];
  const { runtime, findings } = await probeRuntime({ log: ({ message }) => notes.push(message) });
  const backends: BackendState[] = runtime.devices.map((name) => ({
    name,
    available: true,
    default: name === runtime.device,
    info: runtime.backend(name).info(),
  }));
  for (const { backend, loaded, reason } of findings) {
    if (backend !== undefined && !loaded)
      backends.push({ name: backend, available: false, reason: reason ?? 'unknown' });
  }
  await runtime.close();
  const at = backends.findIndex((b) => b.name === 'cuda');
  if (at >= 0) backends[at] = { ...backends[at]!, info: { ...(await cuda()), ...backends[at]!.info } };
  const machine = {
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
  };
  const settings = Object.entries(process.env).filter(([name]) => /^AO_[A-Z]+(_[A-Z]+)*$/.test(name));
  if (options.json) {
    printJson({ machine, backends, packages: findings, settings: Object.fromEntries(settings), notes });
    return;
  }
  const { cpu, cores, memoryBytes, platform, node } = machine;
  print(`machine    ${cpu}, ${cores} cores, ${bytes(memoryBytes)}, ${platform}, Node ${node}`);
  for (const { name, available, default: chosen, info, reason } of backends) {
    print(
      `backend    ${name}: ${available ? `available${chosen ? ', used by default' : ''}` : `not available: ${reason}`}`,
    );
    for (const [key, value] of Object.entries(info ?? {})) print(`           ${key}: ${show(value)}`);
  }
  for (const { package: name, loaded, reason } of findings) print(`package    ${name}: ${loaded ? 'loaded' : reason}`);
  for (const [name, value] of settings) print(`setting    ${name}=${value}`);
  for (const note of notes) print(`note       ${note}`);
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
