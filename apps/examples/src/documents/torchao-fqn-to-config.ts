// torchao's FqnToConfig and filter functions on a module of one's own: exact names, patterns, parameters, and a dry run.
import { createRuntime, Linear, Module, type Runtime, type Tensor, tensor } from '@ao/core';
import { formatReport, fqnToConfig, int4WeightOnly, int8WeightOnly, quantization, quantize_ } from '@ao/quantization';

const linear = (rt: Runtime): Linear =>
  new Linear(
    tensor(
      rt,
      Float32Array.from({ length: 64 * 64 }, (_, i) => Math.sin(i)),
      { shape: [64, 64] },
    ),
  );

class Toy extends Module {
  language: Linear;
  vision: Linear;
  head: Linear;
  constructor(rt: Runtime) {
    super();
    this.language = linear(rt);
    this.vision = linear(rt);
    this.head = linear(rt);
  }

  forward = (x: Tensor): Tensor => this.head.call(this.vision.call(this.language.call(x)));
}

const rt = await createRuntime({ use: [quantization()] });
const config = fqnToConfig({
  language: int4WeightOnly({ groupSize: 32 }),
  're:vis.*': int8WeightOnly(),
  head: null,
});
const model = new Toy(rt);
console.log(formatReport(await quantize_(model, config, { dryRun: true })));
const { rows } = await quantize_(model, config);
const schemes = rows.map((r) => `${r.fqn}=${r.scheme}`).join(' ');
if (schemes !== 'language.weight=int4wo-32 vision.weight=int8wo head.weight=null') throw new Error(schemes);

// a filter says which modules one config is for
const other = new Toy(rt);
const report = await quantize_(other, int8WeightOnly(), { filterFn: (_, fqn) => fqn !== 'head' });
console.log(report.rows.map((r) => `${r.fqn}: ${r.scheme ?? r.skipped}`).join('\n'));
await rt.close();
