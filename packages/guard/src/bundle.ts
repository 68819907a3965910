// Bundles a few lines of TypeScript for the browser, from the packages' sources, as an application's bundler would.

import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.ts';

export interface Bundle {
  readonly code: string;
  readonly bytes: number;
  /** Bytes by source file, relative to the root; files that gave none are left out. */
  readonly inputs: ReadonlyMap<string, number>;
  /** Imports left in the output; a browser can load none. */
  readonly externals: readonly string[];
}

export interface BundleOptions {
  /** Leaves identifiers as they are, so that names can be asserted absent; `bytes` then means nothing. */
  readonly readable?: boolean;
}

export async function bundle(source: string, options: BundleOptions = {}): Promise<Bundle> {
  const result = await build({
    stdin: { contents: source, resolveDir: join(root, 'packages/guard'), loader: 'ts' },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2023',
    conditions: ['@ao/source'],
    minify: options.readable !== true,
    legalComments: 'none',
    absWorkingDir: root,
    logLevel: 'silent',
  });
  const [output] = Object.values(result.metafile.outputs);
  const [file] = result.outputFiles;
  if (!output || !file) throw new Error('esbuild wrote no file');
  return {
    code: file.text,
    bytes: file.contents.length,
    inputs: new Map(
      Object.entries(output.inputs)
        .map(([path, { bytesInOutput }]) => [path, bytesInOutput] as const)
        .filter(([, n]) => n > 0),
    ),
    externals: output.imports.filter((entry) => entry.external === true).map((entry) => entry.path),
  };
}
