// Which tensors torchao 0.18 loads from safetensors: those of the classes it allows, whose attributes are of types it allows,
// and whose blocks divide their shape.
import { AoError, type FileForm, fileFormOf, fileForms, type Wrapped } from '@ao/core';

const TENSORS: readonly string[] = [
  'Float8Tensor',
  'Int4Tensor',
  'Int4TilePackedTo4dTensor',
  'Int4PlainInt32Tensor',
  'Int8Tensor',
  'IntxUnpackedToInt8Tensor',
  'MXTensor',
  'NVFP4Tensor',
];

const ATTRIBUTES: readonly string[] = [
  'torch.dtype',
  'Float8MMConfig',
  'QuantizeTensorToFloat8Kwargs',
  'QuantizeTensorToInt8Kwargs',
  'QuantizeTensorToMXKwargs',
  'QuantizeTensorToNVFP4Kwargs',
  'PerRow',
  'PerTensor',
  'KernelPreference',
  'MappingType',
  'ScaleCalculationMode',
];

function foreignType(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { _type: type } = json as { readonly _type?: unknown };
  if (typeof type === 'string' && !ATTRIBUTES.includes(type)) return type;
  return Object.values(json)
    .map(foreignType)
    .find((found) => found !== undefined);
}

/** Why torchao would not load t in this form; undefined where it does. */
export function unlikeTorchao(t: Wrapped, form: FileForm<never>): string | undefined {
  if (!TENSORS.includes(form.type)) return `torchao has no class ${form.type}`;
  const { ao: _, ...data } = form.encode(t as never) as Record<string, unknown>;
  const type = foreignType(data);
  if (type !== undefined) return `torchao's files have no ${type}`;
  const block = data.block_size;
  const short = Array.isArray(block) ? t.shape.findIndex((n, i) => n % (block[i] as number) !== 0) : -1;
  if (short >= 0)
    return `the last of its groups of ${(block as number[])[short]} is short (${t.shape[short]} values), and torchao's are whole`;
  return undefined;
}

/** The form in which torchao loads t; undefined where it has none. */
export function torchaoForm(t: Wrapped): FileForm<never> | undefined {
  const first = fileFormOf(t);
  const forms = [...(first === undefined ? [] : [first]), ...fileForms(t.kind)];
  return forms.find((form) => unlikeTorchao(t, form) === undefined);
}

/** The same, or ERR_AO_FORMAT naming the tensor. */
export function requireTorchaoForm(name: string, t: Wrapped): FileForm<never> {
  const form = torchaoForm(t);
  if (form !== undefined) return form;
  const [why] = fileForms(t.kind)
    .map((f) => unlikeTorchao(t, f))
    .reverse();
  throw new AoError('ERR_AO_FORMAT', `torchao cannot load it: ${why ?? `kind ${t.kind.name} has no form in a file`}`, {
    op: 'convert',
    tensor: name,
    fix: 'quantize with a scheme, and groups that divide the columns, that torchao has; or dequantize it',
  });
}
