// Which globals a checkpoint's pickle may name, and what calls of torch's own mean as data. Nothing is imported or run: further
// names become records, so allowing one only says that its data is wanted.
import { AoError } from '@ao/core';
import { PickleGlobal, PickleObject, PickleTuple, type TorchStorage, TorchSubclass, TorchTensor } from './values.ts';

/** dtypes by their names in torch, as safetensors names them. */
export const TORCH_DTYPES: Readonly<Record<string, string>> = {
  float64: 'F64',
  double: 'F64',
  float32: 'F32',
  float: 'F32',
  float16: 'F16',
  half: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  long: 'I64',
  int32: 'I32',
  int: 'I32',
  int16: 'I16',
  short: 'I16',
  int8: 'I8',
  uint8: 'U8',
  uint16: 'U16',
  uint32: 'U32',
  uint64: 'U64',
  bool: 'BOOL',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  float8_e8m0fnu: 'F8_E8M0',
};

const STORAGES: Readonly<Record<string, string>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

const NAMES = [
  ...[
    'collections.OrderedDict',
    'collections.defaultdict',
    'collections.Counter',
    '_codecs.encode',
    'copyreg._reconstructor',
  ],
  ...['builtins.set', '__builtin__.set', 'builtins.object', '__builtin__.object', 'builtins.dict', '__builtin__.dict'],
  ...['_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3'].map((name) => `torch._utils.${name}`),
  ...['_rebuild_parameter', '_rebuild_parameter_with_state', '_rebuild_wrapper_subclass'].map(
    (n) => `torch._utils.${n}`,
  ),
  ...[
    'torch._tensor._rebuild_from_type_v2',
    'torch.serialization._get_layout',
    'torch.device',
    'torch.Size',
    'torch.Tensor',
  ],
  ...['torch.nn.parameter.Parameter', 'torch.storage.UntypedStorage', 'torch.storage.TypedStorage'],
];
/** Integers that only name what codes mean. */
export const SUBBYTE = /^torch\.u?int[1-7]$/;
/** torchao's tensors and what they are described by; their records are read by name. */
const TORCHAO = /^torchao\.[\w.]+$/;

const added = new Set<string>();

/**
 * torch.serialization.add_safe_globals: lets checkpoints name these classes and functions, e.g. 'argparse.Namespace'. What
 * they would make stays a record of a name and data; tensors beside it are read.
 */
export function addSafeGlobals(names: readonly string[]): void {
  for (const name of names) added.add(name);
}

export const getSafeGlobals = (): string[] => [...added];

export function clearSafeGlobals(): void {
  added.clear();
}

export function isSafeGlobal(name: string): boolean {
  const own = name.startsWith('torch.') ? name.slice('torch.'.length) : undefined;
  if (own !== undefined && (TORCH_DTYPES[own] !== undefined || STORAGES[own] !== undefined)) return true;
  return NAMES.includes(name) || SUBBYTE.test(name) || TORCHAO.test(name) || added.has(name);
}

const damaged = (file: string, problem: string): AoError =>
  new AoError('ERR_AO_FORMAT', `${file}: pickle: ${problem}`, { fix: 'the file is damaged: fetch or write it again' });

/** ('storage', a storage class, key, location, elements). */
export function storageOf(file: string, id: unknown): TorchStorage {
  const [what, type, key, , numel] = id instanceof PickleTuple ? id.items : [];
  const name = type instanceof PickleGlobal ? type.name.replace(/^torch\.(storage\.)?/, '') : '';
  const known = STORAGES[name] !== undefined || name === 'UntypedStorage' || name === 'TypedStorage';
  if (what !== 'storage' || !known || typeof key !== 'string' || !isCount(numel))
    throw damaged(file, 'a storage has no type, key or size');
  return { key, dtype: STORAGES[name], numel };
}

const isCount = (n: unknown): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;

function counts(file: string, value: unknown): number[] {
  if (value instanceof PickleTuple && value.items.every(isCount)) return value.items as number[];
  throw damaged(file, 'a shape or stride is no tuple of counts');
}

function tensorOf(file: string, args: readonly unknown[], dtype: unknown): TorchTensor {
  const [storage, offset, shape, stride] = args as [TorchStorage | undefined, unknown, unknown, unknown];
  const name = dtype instanceof PickleGlobal ? TORCH_DTYPES[dtype.name.replace(/^torch\./, '')] : storage?.dtype;
  const [sizes, steps] = [counts(file, shape), counts(file, stride)];
  if (typeof storage?.key !== 'string' || !isCount(offset) || name === undefined || sizes.length !== steps.length) {
    throw damaged(file, 'a tensor has no storage, dtype or place in it');
  }
  return new TorchTensor(storage, name, offset, sizes, steps);
}

/** What calls of allowed globals give; undefined = a record. */
export function callGlobal(file: string, name: string, args: readonly unknown[]): unknown {
  switch (name) {
    case 'collections.OrderedDict':
    case 'collections.defaultdict':
    case 'collections.Counter':
      return dictOf(args.find((a) => Array.isArray(a) || a instanceof Map));
    case 'builtins.set':
    case '__builtin__.set':
      return new Set(Array.isArray(args[0]) ? args[0] : []);
    case 'torch.Size':
      return args[0] instanceof PickleTuple ? args[0] : new PickleTuple([]);
    case '_codecs.encode':
      return Uint8Array.from(String(args[0]), (c) => c.charCodeAt(0));
    case 'torch._utils._rebuild_tensor':
    case 'torch._utils._rebuild_tensor_v2':
      return tensorOf(file, args, undefined);
    case 'torch._utils._rebuild_tensor_v3':
      return tensorOf(file, args, args[6]);
    case 'torch._utils._rebuild_parameter':
    case 'torch._utils._rebuild_parameter_with_state':
    case 'torch.nn.parameter.Parameter':
      return args[0];
    case 'torch._utils._rebuild_wrapper_subclass':
      return new TorchSubclass(args[0] instanceof PickleGlobal ? args[0].name : '', args);
    case 'torch._tensor._rebuild_from_type_v2':
      return typed(file, args);
    default:
      return undefined;
  }
}

/** (function, class, its arguments, attributes). */
function typed(file: string, [fn, , args, state]: readonly unknown[]): unknown {
  if (!(fn instanceof PickleGlobal) || !(args instanceof PickleTuple))
    throw damaged(file, 'a tensor subclass is made of nothing');
  const made = callGlobal(file, fn.name, args.items);
  if (made instanceof PickleObject) made.state = state;
  return made;
}

/** From nothing, a dict, or a list of pairs. */
function dictOf(from: unknown): Map<unknown, unknown> {
  if (from instanceof Map) return new Map(from);
  const dict = new Map<unknown, unknown>();
  for (const pair of Array.isArray(from) ? from : []) {
    const items = pair instanceof PickleTuple ? pair.items : (pair as unknown);
    if (Array.isArray(items)) dict.set(items[0], items[1]);
  }
  return dict;
}
