// `npm run demo`: quantizes the bundled model, compares it with the original in size, perplexity and speed, and tells a story.
import { at, node } from './lib/checkout.mjs';
import { become } from './lib/run.mjs';
import { ready } from './lib/setup.mjs';

if (await ready()) become(node(), [at('apps/cli/bin/ao.mjs'), 'demo', ...process.argv.slice(2)]);
