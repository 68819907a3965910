// A JSON Schema (2020-12) as a grammar whose texts are values the schema allows. Ajv checks the schema itself; a keyword that
// the grammar cannot keep is an error that names it. Where a schema leaves freedom the grammar takes a part of it: members
// in the order of `properties`, none besides unless additionalProperties is given, a pattern holds for the whole string.
import type { AoError } from '@ao/core';
import type { Json } from '../config/read-json.ts';
import { FORMATS } from './formats.ts';
import { anyText, arrayText, type Member, objectText, stringCharacters, stringOf, stringText } from './json-text.ts';
import { alt, literal, NEVER, type Node, reference } from './node.ts';
import { type Bound, canBound, numberText } from './number-text.ts';
import { loadPatternText, type PatternText } from './pattern.ts';
import { schemaError } from './schema-error.ts';
import { disjoint } from './schema-overlap.ts';

/** Say nothing about values. */
const ANNOTATIONS = [
  '$schema',
  '$id',
  '$comment',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
];
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [],
  null: [],
};

/** Resolves with the grammar of a schema; rejects with ERR_AO_CONFIG, which names the place and the keyword. */
export async function schemaText(schema: Json | boolean): Promise<Node> {
  const [{ Ajv2020 }, pattern] = await Promise.all([import('ajv/dist/2020.js'), loadPatternText()]);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const { $schema: _dialect, $id: _id, ...root } = typeof schema === 'boolean' ? { allOf: [schema] } : schema;
  try {
    ajv.compile(root);
  } catch (error) {
    throw schemaError('#', `this is no JSON Schema: ${(error as Error).message}`, 'write it as JSON Schema 2020-12');
  }
  return new Compiler(root, pattern, (s, value) => ajv.validate(s, value)).node(root, '#');
}

class Compiler {
  readonly #root: Json;
  readonly #pattern: PatternText;
  readonly #valid: (schema: Json, value: unknown) => boolean;
  readonly #rules = new Map<string, Node>();

  constructor(root: Json, pattern: PatternText, valid: (schema: Json, value: unknown) => boolean) {
    this.#root = root;
    this.#pattern = pattern;
    this.#valid = valid;
  }

  node(schema: unknown, at: string): Node {
    if (schema === false) return NEVER;
    if (schema === true) return anyText();
    const json = schema as Json;
    const own = Object.keys(json).filter((k) => !ANNOTATIONS.includes(k));
    if (own.length === 0) return anyText();
    const alone = own.find((k) => ['$ref', 'anyOf', 'oneOf', 'allOf', 'enum', 'const'].includes(k));
    if (alone === 'enum' || alone === 'const') return this.#constants(json, own, at);
    if (alone === undefined) return this.#typed(json, own, at);
    const beside = own.find((k) => k !== alone);
    if (beside !== undefined) throw unsupported(at, `${beside} beside ${alone}`);
    if (alone === '$ref') return this.#ref(json['$ref'] as string, at);
    const branches = json[alone] as readonly Json[];
    if (alone === 'allOf' && branches.length > 1) throw unsupported(at, 'allOf of several schemas');
    if (alone === 'oneOf') this.#exclusive(branches, at);
    return alt(...branches.map((branch, i) => this.node(branch, `${at}/${alone}/${i}`)));
  }

  #ref(pointer: string, at: string): Node {
    const known = this.#rules.get(pointer);
    if (known !== undefined) return known;
    const rule = reference();
    this.#rules.set(pointer, rule);
    rule.target = this.node(this.#find(pointer, at), pointer);
    return rule;
  }

  #find(pointer: string, at: string): unknown {
    if (pointer !== '#' && !pointer.startsWith('#/'))
      throw unsupported(at, `$ref ${pointer}, which is no place in this schema,`);
    let target: unknown = this.#root;
    for (const part of pointer
      .slice(2)
      .split('/')
      .filter((p) => p !== ''))
      target = (target as Json)[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')];
    return target;
  }

  #exclusive(branches: readonly Json[], at: string): void {
    const resolve = (schema: Json): Json => {
      const pointer = schema['$ref'];
      return typeof pointer === 'string' ? resolve(this.#find(pointer, at) as Json) : schema;
    };
    branches.forEach((a, i) => {
      const j = branches.findIndex((b, j) => j > i && !disjoint(a, b, resolve));
      if (j >= 0)
        throw schemaError(
          at,
          `branches ${i} and ${j} of oneOf may both hold for one value`,
          'use anyOf, or give them a required property with constants of their own',
        );
    });
  }

  /** The listed values that the other keywords allow. */
  #constants(json: Json, own: readonly string[], at: string): Node {
    const scalar = [...KEYWORDS['string']!, ...KEYWORDS['number']!, 'type', 'enum', 'const'];
    const beside = own.find((k) => !scalar.includes(k));
    if (beside !== undefined) throw unsupported(at, `${beside} beside enum or const`);
    const listed = 'const' in json ? [json['const']] : (json['enum'] as readonly unknown[]);
    const values = listed.filter((value) => this.#valid(Object.fromEntries(own.map((k) => [k, json[k]])), value));
    if (values.length === 0)
      throw schemaError(at, 'none of the listed values fits the other keywords', 'list one that does');
    return alt(...values.map((value) => literal(JSON.stringify(value))));
  }

  #typed(json: Json, own: readonly string[], at: string): Node {
    const guess = Object.keys(KEYWORDS).find((t) => t !== 'integer' && own.some((k) => KEYWORDS[t]!.includes(k)));
    const types = (json['type'] === undefined ? [guess] : [json['type']].flat()) as readonly string[];
    const stranger = own.find((k) => k !== 'type' && !types.some((t) => KEYWORDS[t]?.includes(k)));
    if (stranger !== undefined) throw unsupported(at, types[0] === undefined ? stranger : `${stranger} of ${types}`);
    return alt(...types.map((type) => this.#type(type, json, at)));
  }

  #type(type: string, json: Json, at: string): Node {
    const count = (name: string): number | undefined => json[name] as number | undefined;
    switch (type) {
      case 'object':
        return this.#object(json, at);
      case 'array': {
        const prefix = (json['prefixItems'] ?? []) as readonly Json[];
        const rest = json['items'] ?? prefix.length === 0;
        return arrayText(
          prefix.map((item, i) => this.node(item, `${at}/prefixItems/${i}`)),
          rest === false ? undefined : this.node(rest, `${at}/items`),
          count('minItems'),
          count('maxItems'),
        );
      }
      case 'string':
        return this.#string(json, at);
      case 'boolean':
        return alt(literal('true'), literal('false'));
      case 'null':
        return literal('null');
      default:
        return this.#number(type === 'integer', json, at);
    }
  }

  #object(json: Json, at: string): Node {
    const properties = (json['properties'] ?? {}) as Json;
    const required = (json['required'] ?? []) as readonly string[];
    const free = json['properties'] === undefined && json['additionalProperties'] === undefined;
    const other = json['additionalProperties'] ?? free;
    const others = other === false ? undefined : this.node(other, `${at}/additionalProperties`);
    const members: Member[] = Object.entries(properties).map(([key, value]) => ({
      key,
      value: this.node(value, `${at}/properties/${key}`),
      required: required.includes(key),
    }));
    for (const key of required)
      if (!Object.hasOwn(properties, key)) members.push({ key, value: others ?? anyText(), required: true });
    return objectText(members, others);
  }

  #string(json: Json, at: string): Node {
    const { pattern, format, minLength, maxLength } = json as Record<string, string & number>;
    if (pattern === undefined && format === undefined) return stringText(minLength, maxLength);
    const found = Object.keys(json).filter((k) => KEYWORDS['string']!.includes(k));
    if (found.length > 1) throw unsupported(at, found.join(' together with '));
    if (format !== undefined && FORMATS[format] === undefined)
      throw unsupported(at, `format ${format} (there are ${Object.keys(FORMATS).join(', ')})`);
    return stringOf(this.#pattern(pattern ?? FORMATS[format!]!, `responseFormat: ${at}`, stringCharacters));
  }

  #number(integer: boolean, json: Json, at: string): Node {
    const bound = (name: string, exclusive: string, sign: number): Bound | undefined => {
      const bounds = [
        { value: json[name] as number, exclusive: false },
        { value: json[exclusive] as number, exclusive: true },
      ].filter((b) => b.value !== undefined);
      for (const { value } of bounds)
        if (!canBound(value)) throw unsupported(at, `a bound of ${value} (below 1e15 in size, without an exponent)`);
      // the narrower of both; of equals the exclusive one
      return bounds.sort((a, b) => sign * (b.value - a.value) || Number(b.exclusive) - Number(a.exclusive))[0];
    };
    return numberText(integer, bound('minimum', 'exclusiveMinimum', 1), bound('maximum', 'exclusiveMaximum', -1));
  }
}

function unsupported(at: string, what: string): AoError {
  return schemaError(at, `${what} is not supported in constrained output`, 'leave it out, or say it otherwise');
}
