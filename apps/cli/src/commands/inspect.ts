// ao inspect: every weight with its scheme, shape and bytes, from the headers alone.
import { inspect as inspectModel } from '@ao/hf-integration';
import { interruptSignal } from '../exit.ts';
import { log } from '../log.ts';
import { modelName } from '../model-folder.ts';
import { bytes, print, printJson, table } from '../output.ts';

export async function inspect(name: string, options: { readonly json?: boolean }): Promise<void> {
  const model = modelName(name);
  const found = await inspectModel(model.name, { ...model, signal: interruptSignal(), log });
  if (options.json) {
    printJson(found);
    return;
  }
  const rows = found.modules.map((m) => [
    m.name,
    m.scheme,
    m.shape.join(' x '),
    bytes(m.bytes),
    m.bitsPerWeight.toFixed(2),
  ]);
  print(table(['module', 'scheme', 'shape', 'bytes', 'bits/weight'], rows));
  print();
  const size = `${bytes(found.bytes)}, ${found.bitsPerWeight.toFixed(2)} bits per weight`;
  print(`${found.architecture}, ${(found.parameters / 1e6).toFixed(1)} M parameters, ${size}`);
  for (const note of found.notes) print(note);
}
