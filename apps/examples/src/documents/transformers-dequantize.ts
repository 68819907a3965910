// Back to floats: the quantized model as a plain one, in memory and on disk.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM, autoRuntime, convertCheckpoint } from '@ao/hf-integration';

const folder = dirname(fileURLToPath(import.meta.resolve('@ao/stories-7m/config.json')));
const runtime = await autoRuntime();
const scratch = await mkdtemp(join(tmpdir(), 'ao-example-'));
const model = await AutoModelForCausalLM.fromPretrained(folder, { runtime, quantizationConfig: 'int8wo' });
await model.savePretrained(join(scratch, 'int8'));

const { rows, bytesBefore, bytesAfter } = await model.dequantize();
const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
console.log(`${rows.length} weights: ${mega(bytesBefore)} -> ${mega(bytesAfter)}`);
if (model.isQuantized) throw new Error('nothing should be quantized any more');

// the same from disk to disk, one tensor at a time
const report = await convertCheckpoint(join(scratch, 'int8'), join(scratch, 'floats'), { dequantize: true, runtime });
console.log(`${report.dequantized} weights: ${mega(report.bytesBefore)} -> ${mega(report.bytesAfter)} on disk`);
if (report.dequantized !== rows.length) throw new Error('both should find the same weights');
await rm(scratch, { recursive: true });
await runtime.close();
