// ao doctor: what this machine can do and why not more.
import { cpus, totalmem } from 'node:os';
import { probeRuntime } from '@ao/hf-integration';
import { bytes, print, printJson } from '../output.ts';

export async function doctor(options: { readonly json?: boolean }): Promise<void> {
  const notes: string[] = [];
  const { runtime, findings } = await probeRuntime({ log: ({ message }) => notes.push(message) });
  const backends = runtime.devices.map((device) => ({
    name: device,
    default: device === runtime.device,
    info: runtime.backend(device).info(),
  }));
  await runtime.close();
  const machine = {
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
  };
  const environment = Object.fromEntries(
    ['AO_ISA', 'AO_NUM_THREADS', 'AO_NATIVE'].flatMap((name) =>
      process.env[name] === undefined ? [] : [[name, process.env[name]]],
    ),
  );
  if (options.json) {
    printJson({ machine, backends, packages: findings, environment, notes });
    return;
  }
  print(
    `machine    ${machine.cpu}, ${machine.cores} cores, ${bytes(machine.memoryBytes)}, ${machine.platform}, Node ${machine.node}`,
  );
  for (const backend of backends) {
    print(`backend    ${backend.name}${backend.default ? ' (default)' : ''}`);
    for (const [key, value] of Object.entries(backend.info)) print(`           ${key}: ${show(value)}`);
  }
  for (const { package: name, loaded, reason } of findings)
    print(`package    ${name}: ${loaded ? 'loaded' : `not used: ${reason}`}`);
  for (const [name, value] of Object.entries(environment)) print(`setting    ${name}=${value}`);
  for (const note of notes) print(`note       ${note}`);
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
