// Writes src/abi.ts from kernels/cpu/exports.inc: one typed method per row, and the hash of the rows. With --check it only
// compares and exits 1 where the file is out of date.
import { readFileSync, writeFileSync } from 'node:fs';

const rowsFile = new URL('../../../kernels/cpu/exports.inc', import.meta.url);
const outFile = new URL('../src/abi.ts', import.meta.url);

/** [{ name, text, fields: [{ kind, name, count }] }], text with white space as the preprocessor's # leaves it. */
export function parse(source) {
  const code = source.replace(/\/\/.*$/gm, '');
  const rows = [];
  let rest = code;
  for (;;) {
    const start = rest.search(/\S/);
    if (start < 0) return rows;
    rest = rest.slice(start);
    const head = /^AO_FN\(\s*(\w+)\s*,/.exec(rest);
    if (head === null) throw new Error(`exports.inc: expected AO_FN(name, fields) at '${rest.slice(0, 40)}'`);
    let depth = 1;
    let end = head[0].length;
    for (; depth > 0; end++) {
      if (end >= rest.length) throw new Error(`exports.inc: row ${head[1]} is not closed`);
      if (rest[end] === '(') depth += 1;
      if (rest[end] === ')') depth -= 1;
    }
    const text = rest
      .slice(head[0].length, end - 1)
      .trim()
      .replace(/\s+/g, ' ');
    rows.push({ name: head[1], text, fields: parseFields(head[1], text) });
    rest = rest.slice(end);
  }
}

function parseFields(row, text) {
  const fields = [];
  const pattern = /\s*(?:(IN|OUT|INOUT|I|F)\(\s*(\w+)\s*\)|(V)\(\s*(\w+)\s*,\s*(\d+)\s*\))/y;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const found = pattern.exec(text);
    if (found === null) throw new Error(`exports.inc: row ${row}: no field at '${text.slice(at, at + 30)}'`);
    fields.push({ kind: found[1] ?? 'V', name: found[2] ?? found[4], count: Number(found[5] ?? 1) });
  }
  return fields;
}

export function hash(rows) {
  const text = rows.map((row) => `AO_FN(${row.name}, ${row.text})\n`).join('');
  let h = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
  return h.toString(16).padStart(16, '0');
}

function method(row, index) {
  const length = 1 + row.fields.reduce((sum, f) => sum + f.count, 0);
  const params = row.fields.map((f) => `${f.name}: ${f.kind === 'V' ? 'ArrayLike<number>' : 'number'}`);
  const checks = row.fields
    .filter((f) => f.kind === 'V')
    .map(
      (f) => `if (${f.name}.length > ${f.count}) tooLong('${row.name}', '${f.name}', ${f.name}.length, ${f.count});`,
    );
  const stores = [`r[at] = ${index};`];
  let at = 1;
  for (const f of row.fields) {
    if (f.kind !== 'V') stores.push(`r[at + ${at}] = ${f.name};`);
    else stores.push(`for (let i = 0; i < ${f.count}; i++) r[at + ${at} + i] = ${f.name}[i] ?? 0;`);
    at += f.count;
  }
  const body = [`const s = this.#stream, at = s.reserve(${length}), r = s.records;`, ...stores, `s.commit(${length});`];
  return `  /** ${row.text} */\n  ${row.name}(${params.join(', ')}): void {\n    ${[...checks, ...body].join(' ')}\n  }`;
}

export function generate(source) {
  const rows = parse(source);
  return `// Generated from kernels/cpu/exports.inc by scripts/abi.mjs (pnpm abi); do not edit. One method per row: it writes the
// command [row, fields...] to the stream. IN, OUT and INOUT are addresses (0 = absent), V is padded with zeros.
// biome-ignore-all format: generated
import { AoError } from '@ao/core';

/** FNV-1a of the rows; the addon must have been built from the same. */
export const ABI_HASH = '${hash(rows)}';

/** Where commands go: \`reserve\` makes room and returns an index into \`records\`, \`commit\` hands the command over. */
export interface CommandStream {
  readonly records: Float64Array;
  reserve(length: number): number;
  commit(length: number): void;
}

function tooLong(op: string, field: string, length: number, count: number): never {
  throw new AoError('ERR_AO_SHAPE', \`\${field} has \${length} values, the kernel takes \${count}\`, {
    op,
    fix: 'merge dimensions before the call',
  });
}

export class Calls {
  readonly #stream: CommandStream;

  constructor(stream: CommandStream) {
    this.#stream = stream;
  }

${rows.map(method).join('\n\n')}
}
`;
}

if (process.argv[1] !== undefined && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const text = generate(readFileSync(rowsFile, 'utf8'));
  if (process.argv.includes('--check')) {
    let current = '';
    try {
      current = readFileSync(outFile, 'utf8');
    } catch {}
    if (current !== text) {
      console.error('src/abi.ts is out of date with kernels/cpu/exports.inc. Fix: pnpm --filter @ao/kernels-cpu abi');
      process.exit(1);
    }
  } else {
    writeFileSync(outFile, text);
  }
}
