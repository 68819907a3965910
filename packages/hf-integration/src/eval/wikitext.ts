// wikitext of lm-evaluation-harness: perplexity of whole pages, by words and by bytes of the page as the data set has it, of the
// page without the tokenization that the data set put in.
//   word_perplexity = exp(-L / words), byte_perplexity = exp(-L / bytes), bits_per_byte = -L / bytes / ln 2, sums over all pages
import { SPACE } from './python-text.ts';
import type { Task } from './tasks.ts';

const S = `[${SPACE}]*`;
const PAIRED: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`\\(${S}([^)]*?)${S}\\)`, 'g'), '($1)'],
  [new RegExp(`\\[${S}([^\\]]*?)${S}\\]`, 'g'), '[$1]'],
  [new RegExp(`\\{${S}([^}]*?)${S}\\}`, 'g'), '{$1}'],
  [new RegExp(`"${S}([^"]*?)${S}"`, 'g'), '"$1"'],
  [new RegExp(`'${S}([^']*?)${S}'`, 'g'), "'$1'"],
];

/** The harness's wikitext_detokenizer, step by step. */
export function detokenized(page: string): string {
  let text = page
    .replaceAll("s '", "s'")
    // the harness replaces this pattern by its own text
    .replace(/\/' [0-9]\//g, "/'[0-9]/")
    .replaceAll(' @-@ ', '-')
    .replaceAll(' @,@ ', ',')
    .replaceAll(' @.@ ', '.');
  for (const mark of [':', ';', '.', '!', '?', ',']) text = text.replaceAll(` ${mark} `, `${mark} `);
  for (const [pattern, by] of PAIRED) text = text.replace(pattern, by);
  return text
    .replaceAll('= = = =', '====')
    .replaceAll('= = =', '===')
    .replaceAll('= =', '==')
    .replaceAll(' \u00b0 ', '\u00b0')
    .replaceAll(' \n', '\n')
    .replaceAll('\n ', '\n')
    .replaceAll(' N ', ' 1 ')
    .replaceAll(" 's", "'s");
}

const words = (page: string): number => page.split(new RegExp(`[${SPACE}]+`)).length;
const bytes = (page: string): number => new TextEncoder().encode(page).length;

export const wikitext: Task = {
  name: 'wikitext',
  columns: ['page'],
  start() {
    let [sum, allWords, allBytes] = [0, 0, 0];
    return {
      async take(doc, model) {
        const page = doc.text('page');
        sum += await model.rolling(detokenized(page));
        allWords += words(page);
        allBytes += bytes(page);
      },
      figures: () => ({
        word_perplexity: Math.exp(-sum / allWords),
        byte_perplexity: Math.exp(-sum / allBytes),
        bits_per_byte: -sum / allBytes / Math.LN2,
      }),
    };
  },
};
