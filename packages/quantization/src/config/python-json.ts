// JSON text as Python's json.dumps prints it: ", " and ": " between items, floats by Python's repr (1.0, 1e-06, 1e+16),
// non-ASCII as \uXXXX. A Float marks a number that is a float in Python even where its value is whole; a Map keeps the
// order of keys that look like integers, which plain objects do not.

export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export type Json = null | boolean | number | string | Float | readonly Json[] | JsonObject | ReadonlyMap<string, Json>;
export interface JsonObject {
  readonly [key: string]: Json;
}

export interface PythonJsonOptions {
  /** Spaces per level, as json.dumps(indent=...); without it everything is on one line. */
  readonly indent?: number;
  readonly sortKeys?: boolean;
}

/** repr(float) of Python. */
export function pythonFloat(x: number): string {
  if (Number.isNaN(x)) return 'NaN';
  if (!Number.isFinite(x)) return x > 0 ? 'Infinity' : '-Infinity';
  if (x === 0) return Object.is(x, -0) ? '-0.0' : '0.0';
  const [digits = '', power = '0'] = x.toExponential().split('e');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const text = String(x);
  return text.includes('.') ? text : `${text}.0`;
}

function pythonString(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The text json.dumps(value, indent=options.indent, sort_keys=options.sortKeys) gives. */
export function pythonJson(value: Json, options: PythonJsonOptions = {}): string {
  const { indent, sortKeys = false } = options;
  const comma = indent === undefined ? ', ' : ',';
  const pad = (depth: number): string => (indent === undefined ? '' : `\n${' '.repeat(indent * depth)}`);
  const list = (items: string[], open: string, close: string, depth: number): string =>
    items.length === 0 ? open + close : open + pad(depth + 1) + items.join(comma + pad(depth + 1)) + pad(depth) + close;
  const write = (v: Json, depth: number): string => {
    if (v === null || typeof v === 'boolean') return String(v);
    if (v instanceof Float) return pythonFloat(v.value);
    if (typeof v === 'number') return Number.isInteger(v) ? BigInt(v).toString() : pythonFloat(v);
    if (typeof v === 'string') return pythonString(v);
    if (Array.isArray(v))
      return list(
        v.map((item: Json) => write(item, depth + 1)),
        '[',
        ']',
        depth,
      );
    const entries: [string, Json][] = v instanceof Map ? [...v] : Object.entries(v as JsonObject);
    if (sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return list(
      entries.map(([key, item]) => `${pythonString(key)}: ${write(item, depth + 1)}`),
      '{',
      '}',
      depth,
    );
  };
  return write(value, 0);
}

/** The same tree as plain objects, arrays and numbers. */
export function plainJson(value: Json): unknown {
  if (value instanceof Float) return value.value;
  if (Array.isArray(value)) return value.map(plainJson);
  if (value === null || typeof value !== 'object') return value;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, item]) => [key, plainJson(item)]));
}
