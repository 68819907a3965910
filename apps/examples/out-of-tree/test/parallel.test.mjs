// Tensor parallel linears of this package's kind, by its rule for slice: two processes against one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch } from '@ao/distributed';

test('two processes with parts of square8 weights give what one gives', async () => {
  let output = '';
  const script = fileURLToPath(new URL('./rank.mjs', import.meta.url));
  const { code } = await launch({ nproc: 2, script, onOutput: (_, text) => (output += text) });
  assert.equal(code, 0, output);
  const told = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  assert.equal(told.length, 2);
  for (const { names, rows, apart } of told) {
    assert.deepEqual(names, ['mlp.up_proj', 'mlp.down_proj']);
    assert.equal(rows, 96);
    assert.ok(apart < 2e-5, `${apart}`);
  }
});
