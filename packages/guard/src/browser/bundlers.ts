// One application, bundled for browsers as esbuild, Vite and webpack do it: from packed packages, by their defaults, minified.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bundles `entry` of an application's folder as one ES module and returns its text. */
export type Bundler = (folder: string, entry: string) => Promise<string>;

const esbuild: Bundler = async (folder, entry) => {
  const { build } = await import('esbuild');
  const options = {
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    write: false,
    logLevel: 'silent',
  } as const;
  const { outputFiles } = await build({ ...options, absWorkingDir: folder, entryPoints: [entry] });
  return outputFiles[0]?.text ?? '';
};

/** The one file of a folder that a bundler wrote to. */
function only(folder: string): string {
  const files = readdirSync(folder);
  if (files.length !== 1) throw new Error(`one file was expected in ${folder}, not ${files.join(', ')}`);
  return readFileSync(join(folder, String(files[0])), 'utf8');
}

const vite: Bundler = async (folder, entry) => {
  const { build } = await import('vite');
  await build({
    root: folder,
    configFile: false,
    logLevel: 'error',
    build: {
      outDir: 'vite',
      minify: true,
      target: 'es2023',
      lib: { entry: join(folder, entry), formats: ['es'], fileName: 'app' },
    },
  });
  return only(join(folder, 'vite'));
};

const webpack: Bundler = async (folder, entry) => {
  const { default: compile } = await import('webpack');
  await new Promise<void>((resolve, reject) =>
    compile(
      {
        mode: 'production',
        context: folder,
        entry: `./${entry}`,
        target: ['web', 'es2022'],
        experiments: { outputModule: true },
        output: { path: join(folder, 'webpack'), filename: 'app.js', library: { type: 'module' } },
        performance: false,
      },
      (error, stats) => {
        if (error) return reject(error);
        const { errors = [], warnings = [] } = stats?.toJson({ all: false, errors: true, warnings: true }) ?? {};
        const said = [...errors, ...warnings].map(({ message }) => message);
        return said.length > 0 ? reject(new Error(said.join('\n'))) : resolve();
      },
    ),
  );
  return only(join(folder, 'webpack'));
};

export const bundlers: Readonly<Record<string, Bundler>> = { esbuild, vite, webpack };
