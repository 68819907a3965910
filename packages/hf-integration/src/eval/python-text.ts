// What Python's str does to text where JavaScript differs: white space, capitalize, length.

/** What str.strip and \s of re know as white space. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

export const strip = (text: string): string => text.replace(new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, 'g'), '');

/** The first character as a capital, all others small. */
export function capitalize(text: string): string {
  const [first = ''] = text;
  const [upper = '', ...more] = first.toUpperCase();
  return upper + more.join('').toLowerCase() + text.slice(first.length).toLowerCase();
}

/** Characters, not units of UTF-16. */
export const length = (text: string): number => [...text].length;
