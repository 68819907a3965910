// Debian's headless Chromium: runs an ES module in an empty page and hands back what one of its functions returns.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { delimiter, join } from 'node:path';
import { launch } from 'puppeteer-core';

const programs = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];

/** The program, of PATH or of the variable CHROMIUM. */
export function chromium(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = programs.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [process.env['CHROMIUM'] ?? '', ...found].find((file) => file !== '' && existsSync(file));
}

/** Serves `code` to a page of its own and calls its export `name`. Anything that the page complains of is an error. */
export async function callInBrowser(executablePath: string, code: string, name: string): Promise<unknown> {
  const server = createServer((request, response) => {
    const script = request.url === '/app.js';
    response.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' });
    response.end(script ? code : '<!doctype html><link rel="icon" href="data:,"><title>ao</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // in a container Chromium's own sandbox cannot start; the page is ours alone
  const browser = await launch({ executablePath, headless: 'shell', args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(`http://127.0.0.1:${(server.address() as { port: number }).port}/`);
    const call = `import('/app.js').then((app) => app[${JSON.stringify(name)}]())`;
    const result = await page.evaluate(call);
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
    return result;
  } finally {
    await browser.close();
    server.close();
  }
}
