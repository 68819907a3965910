// `npm run setup`: everything that the other commands need, and nothing outside the checkout.
import { ready } from './lib/setup.mjs';

if (await ready()) process.stderr.write('set-up: ready. Next: npm run demo, npm test, npx ao --help\n');
