// responseFormat -> Constraint: the grammar of what may be written, over the tokenizer's tokens.
import { AoError } from '@ao/core';
import type { Json } from '../config/read-json.ts';
import { utf8 } from '../grammar/code-points.ts';
import { Constraint } from '../grammar/constraint.ts';
import { schemaText } from '../grammar/json-schema.ts';
import { literal, optional, seq } from '../grammar/node.ts';
import { loadPatternText } from '../grammar/pattern.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/**
 * What a text must be: any JSON object; a JSON value that a schema (2020-12) allows; or a text that a regular expression
 * (ECMAScript, u flag) matches as a whole.
 */
export type ResponseFormat =
  | { readonly type: 'json_object' }
  | { readonly type: 'json_schema'; readonly schema: Json | boolean }
  | { readonly type: 'regex'; readonly pattern: string };

/** Checked at once; the schema itself when the generation begins. */
export function checkResponseFormat(format: ResponseFormat | undefined): void {
  if (format === undefined) return;
  const { type, schema, pattern } = format as { type?: unknown; schema?: unknown; pattern?: unknown };
  const object = typeof schema === 'object' && schema !== null && !Array.isArray(schema);
  const ok =
    type === 'json_object' ||
    (type === 'json_schema' && (object || typeof schema === 'boolean')) ||
    (type === 'regex' && typeof pattern === 'string');
  if (ok) return;
  throw new AoError('ERR_AO_CONFIG', `generate: responseFormat is ${JSON.stringify(format)}`, {
    op: 'generate',
    fix: "pass { type: 'json_object' }, { type: 'json_schema', schema } or { type: 'regex', pattern }",
  });
}

/** `most`: tokens that a text may have. Rejects where the format cannot be kept. */
export async function constraintOf(
  format: ResponseFormat,
  tokenizer: Tokenizer,
  { vocabSize, ends, most }: { vocabSize: number; ends: ReadonlySet<number>; most: number },
): Promise<Constraint> {
  const constraint = new Constraint(await grammarOf(format), tokenizer.tokenBytes(), vocabSize, ends);
  if (constraint.least > most)
    throw new AoError(
      'ERR_AO_CONFIG',
      `the shortest text of responseFormat takes ${constraint.least} tokens, there is room for ${most}`,
      { op: 'generate', fix: 'raise maxNewTokens or shorten the prompt' },
    );
  return constraint;
}

async function grammarOf(format: ResponseFormat) {
  if (format.type === 'regex') return (await loadPatternText())(format.pattern, 'responseFormat: pattern', utf8);
  // sentencepiece models begin a text with a space
  const schema = format.type === 'json_object' ? { type: 'object' } : format.schema;
  return seq(optional(literal(' ')), await schemaText(schema));
}
