// ao pull: a model of the hub into the cache that Python shares; prints its folder.
import { snapshotDownload } from '@ao/hf-integration';
import { interruptSignal } from '../exit.ts';
import { log } from '../log.ts';
import { modelName } from '../model-folder.ts';
import { print, printJson } from '../output.ts';
import { progress } from '../progress.ts';

interface Options {
  readonly revision?: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly json?: boolean;
}

export async function pull(text: string, options: Options): Promise<void> {
  const model = modelName(text);
  const { include, exclude, revision } = options;
  const bar = await progress();
  const folder = await snapshotDownload(model.name, {
    ...model,
    ...(revision !== undefined && { revision }),
    ...(include !== undefined && { allowPatterns: include }),
    ...(exclude !== undefined && { ignorePatterns: exclude }),
    onProgress: bar.update,
    signal: interruptSignal(),
    log,
  }).finally(bar.stop);
  if (options.json) printJson({ folder });
  else print(folder);
}
