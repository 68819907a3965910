// `npm run demo`: quantizes the bundled model, compares it with the original in size, perplexity and speed, and tells a story.
import { at, node } from './lib/checkout.mjs';
import { become } from './lib/run.mjs';
import { ready } from './lib/setup.mjs';

if (await ready())
  become(node(), ['--conditions=@ao/source', at('apps/examples/src/demo.ts'), ...process.argv.slice(2)], {
    cwd: at('.'),
  });
