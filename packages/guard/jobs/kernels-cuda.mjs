// @ao/kernels-cuda with core and the cpu's wiring: without an addon for this machine it says so, with a fix.
import assert from 'node:assert/strict';

export async function job({ '@ao/core': { createRuntime }, '@ao/kernels-cuda': { cuda } }) {
  const refused = await createRuntime({ use: [cuda()] }).then(
    () => assert.fail('cuda() opened, though no addon is installed'),
    (error) => error,
  );
  assert.equal(refused.code, 'ERR_AO_DEVICE');
  assert.match(refused.message, /kernels-cuda/);
  return 2;
}
