// oneLine(message): a message of several lines as one: its head, the first of what it lists, how many more, and the fix.
const LISTED = 3;

export function oneLine(message: string): string {
  const text = message.replace(/\s*\n\s*\.\s*/, '\n').trim();
  const cut = text.indexOf('Fix: ');
  const [body, fix] = cut < 0 ? [text, ''] : [text.slice(0, cut), text.slice(cut)];
  return [short(body), short(fix)].filter((part) => part !== '').join(' ');
}

function short(text: string): string {
  const [head = '', ...list] = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (list.length === 0) return head;
  const more = list.length - LISTED;
  const items = more > 0 ? [...list.slice(0, LISTED), `and ${more} more, all with --verbose`] : list;
  return `${head} ${items.join('; ')}${/[.!?]$/.test(items.at(-1)!) ? '' : '.'}`;
}
