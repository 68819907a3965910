// Where things are in the checkout, and the environment in which every tool runs: the Node and the tools of node_modules first,
// then pnpm, which set-up keeps in .tools. Caches stay in the checkout as well, so nothing is written to the home directory.
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const tools = join(root, '.tools');

/** @param {...string} parts */
export const at = (...parts) => join(root, ...parts);

/** Our own Node 24 once installed; until then, and on platforms without a Node in npm, the one that runs this. */
export const node = () => (existsSync(at('node_modules/.bin/node')) ? at('node_modules/.bin/node') : process.execPath);

/** @param {NodeJS.ProcessEnv} [extra] @returns {NodeJS.ProcessEnv} */
export function environment(extra = {}) {
  // npm hands its own settings down as npm_*; they would steer a nested npm or pnpm
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  return {
    ...Object.fromEntries(inherited),
    PATH: [at('node_modules/.bin'), join(tools, 'node_modules/.bin'), process.env['PATH']].join(delimiter),
    npm_config_cache: join(tools, 'cache/npm'),
    npm_config_update_notifier: 'false',
    XDG_CACHE_HOME: join(tools, 'cache'),
    XDG_STATE_HOME: join(tools, 'state'),
    XDG_DATA_HOME: join(tools, 'data'),
    XDG_CONFIG_HOME: join(tools, 'config'),
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    ...extra,
  };
}
