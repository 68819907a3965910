// oneOf holds where exactly one branch does. A grammar says "one of these", which is the same where no two branches can hold
// for one value: their types differ, or constants do, those of a required property included.
import type { Json } from '../config/read-json.ts';

const TYPES = ['string', 'number', 'boolean', 'null', 'array', 'object'];

function types(schema: Json): readonly string[] {
  const own = schema['type'];
  if (own !== undefined) return [own].flat().map((t) => (t === 'integer' ? 'number' : (t as string)));
  const values = constants(schema);
  if (values === undefined) return TYPES;
  return values.map((v) => {
    const value: unknown = JSON.parse(v);
    return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  });
}

/** The values that are allowed, as JSON; undefined where they are not listed. */
function constants(schema: Json): readonly string[] | undefined {
  if ('const' in schema) return [JSON.stringify(schema['const'])];
  return Array.isArray(schema['enum']) ? schema['enum'].map((v) => JSON.stringify(v)) : undefined;
}

/** Whether no value fits both; `resolve` follows $ref. */
export function disjoint(a: Json, b: Json, resolve: (schema: Json) => Json): boolean {
  const [x, y] = [resolve(a), resolve(b)];
  if (!types(x).some((t) => types(y).includes(t))) return true;
  const [left, right] = [constants(x), constants(y)];
  if (left !== undefined && right !== undefined) return !left.some((v) => right.includes(v));
  if (![x, y].every((s) => types(s).length === 1 && types(s)[0] === 'object')) return false;
  const required = (s: Json): readonly string[] => (s['required'] as readonly string[] | undefined) ?? [];
  const property = (s: Json, name: string): Json | undefined =>
    (s['properties'] as Readonly<Record<string, Json>> | undefined)?.[name];
  return required(x).some((name) => {
    const [p, q] = [property(x, name), property(y, name)];
    return required(y).includes(name) && p !== undefined && q !== undefined && disjoint(p, q, resolve);
  });
}
