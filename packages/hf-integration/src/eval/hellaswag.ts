// hellaswag of lm-evaluation-harness: which of the endings is likeliest behind the context.
//   acc       share of documents whose likeliest ending is the labelled one
//   acc_norm  the same with log-likelihoods divided by the endings' lengths in characters
import { capitalize, length, strip } from './python-text.ts';
import type { Task } from './tasks.ts';

/** Brackets are left over from the WikiHow part of the data. */
const cleaned = (text: string): string =>
  strip(text)
    .replaceAll(' [title]', '. ')
    .replace(/\[[^\n]*?\]/g, '')
    .replaceAll('  ', ' ');

/** The first of the largest. */
const argmax = (values: readonly number[]): number => values.indexOf(Math.max(...values));

export const hellaswag: Task = {
  name: 'hellaswag',
  columns: ['ctx_a', 'ctx_b', 'activity_label', 'endings', 'label'],
  start() {
    let [docs, hits, normed] = [0, 0, 0];
    return {
      async take(doc, model) {
        const context = `${doc.text('ctx_a')} ${capitalize(doc.text('ctx_b'))}`;
        const query = cleaned(`${doc.text('activity_label')}: ${context}`);
        const endings = doc.json['endings'];
        if (!Array.isArray(endings) || endings.length === 0 || !endings.every((e) => typeof e === 'string')) {
          throw doc.error('endings', 'a list of texts');
        }
        // a string in the data set, a number in some copies of it
        const gold = Number(doc.json['label']);
        if (!Number.isInteger(gold) || gold < 0 || gold >= endings.length || doc.json['label'] === '') {
          throw doc.error('label', `the index of an ending, 0 to ${endings.length - 1}`);
        }
        const choices = endings.map((e) => cleaned(e as string));
        const scores: number[] = [];
        for (const choice of choices) scores.push(await model.conditional(query, ` ${choice}`));
        docs++;
        if (argmax(scores) === gold) hits++;
        if (argmax(scores.map((s, i) => s / length(choices[i]!))) === gold) normed++;
      },
      figures: () => ({ acc: hits / docs, acc_norm: normed / docs }),
    };
  },
};
