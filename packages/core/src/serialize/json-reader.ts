/**
 * A strict pull parser of JSON (RFC 8259). Unlike JSON.parse it refuses duplicate keys and `__proto__`, tells integers
 * from other numbers, limits nesting, and lets the caller name what it was reading when something is wrong.
 */
export interface JsonReader {
  /** Calls onKey with the cursor on each member's value; onKey must consume that value. */
  object(onKey: (key: string) => void): void;
  array(onItem: () => void): void;
  string(): string;
  /** A whole number in 0 ... 2^53 - 1, written without sign, fraction or exponent. */
  natural(): number;
  /** Any value; objects have no prototype. */
  value(): unknown;
  /** Only white space is left. */
  end(): void;
  fail(problem: string): never;
}

const MAX_DEPTH = 64;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const TOKEN = /[^\s,:[\]{}"]{1,40}/y;
const LITERALS: ReadonlyMap<string, unknown> = /*@__PURE__*/ new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/** `fail` gets the problem and the position, and must throw. */
export function jsonReader(text: string, onError: (problem: string) => never): JsonReader {
  let at = 0;
  let depth = 0;

  const fail = (problem: string): never => onError(`${problem} at character ${at}`);

  function space(): number {
    for (;;) {
      const c = text.charCodeAt(at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return c;
      at++;
    }
  }

  function seen(): string {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token) return `'${token}'`;
    return at < text.length ? `'${text[at]}'` : 'the end';
  }

  function expect(c: string): void {
    if (space() !== c.charCodeAt(0)) fail(`expected '${c}', found ${seen()}`);
    at++;
  }

  function string(): string {
    expect('"');
    const start = at;
    let escaped = false;
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === 34) break;
      if (c === 92) {
        escaped = true;
        at++;
      } else if (!(c >= 32)) {
        fail(at < text.length ? 'a control character in a string' : 'a string without an end');
      }
      at++;
    }
    at++;
    if (!escaped) return text.slice(start, at - 1);
    let result: string;
    try {
      result = JSON.parse(text.slice(start - 1, at)) as string;
    } catch {
      return fail('a bad escape in a string');
    }
    return /\p{Surrogate}/u.test(result) ? fail('half a surrogate pair in a string') : result;
  }

  /** Walks `open` item, item ... `close`. */
  function list(open: string, close: string, onItem: () => void): void {
    if (++depth > MAX_DEPTH) fail(`nesting deeper than ${MAX_DEPTH}`);
    expect(open);
    const end = close.charCodeAt(0);
    if (space() !== end) {
      for (;;) {
        onItem();
        if (space() === end) break;
        expect(',');
      }
    }
    at++;
    depth--;
  }

  function object(onKey: (key: string) => void): void {
    const keys = new Set<string>();
    list('{', '}', () => {
      const key = string();
      if (keys.has(key)) fail(`the key '${key}' twice in one object`);
      if (key === '__proto__') fail("the key '__proto__'");
      keys.add(key);
      expect(':');
      onKey(key);
    });
  }

  function number(): string {
    space();
    NUMBER.lastIndex = at;
    const token = NUMBER.exec(text)?.[0] ?? fail(`expected a value, found ${seen()}`);
    at += token.length;
    return token;
  }

  function natural(): number {
    const c = space();
    const token = (c >= 48 && c <= 57) || c === 45 ? number() : fail(`expected a whole number, found ${seen()}`);
    const n = /^[0-9]+$/.test(token) ? Number(token) : -1;
    return Number.isSafeInteger(n) && n >= 0 ? n : fail(`expected a whole number from 0 to 2^53 - 1, found ${token}`);
  }

  function value(): unknown {
    const c = space();
    if (c === 34) return string();
    if (c === 123) {
      const result = Object.create(null) as Record<string, unknown>;
      object((key) => {
        result[key] = value();
      });
      return result;
    }
    if (c === 91) {
      const result: unknown[] = [];
      list('[', ']', () => result.push(value()));
      return result;
    }
    for (const [word, literal] of LITERALS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return literal;
      }
    }
    return Number(number());
  }

  return {
    object,
    array: (onItem) => list('[', ']', onItem),
    string,
    natural,
    value,
    end() {
      space();
      if (at < text.length) fail(`expected the end, found ${seen()}`);
    },
    fail,
  };
}
