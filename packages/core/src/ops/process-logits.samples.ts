import { int32 } from '../dtypes/index.ts';
import { type Make, type OpSamples, samples } from '../sample.ts';
import { type LogitOptions, processLogitsOp } from './process-logits.ts';

const NEUTRAL: LogitOptions = {
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  noRepeatNgramSize: 0,
  minNewTokens: 0,
};
/** Two texts with repeated ids and pairs, of which 4 and 2 are prompt. */
const TEXTS = [3, 8, 3, 69, 8, 3, 69, 0, 5, 5, 5, 1, 0, 0, 0, 0];
const ints = (make: Make, shape: readonly number[], fill: readonly number[]) => make(shape, { dtype: int32, fill });
const history = (make: Make) => [ints(make, [2, 8], TEXTS), ints(make, [2, 2], [4, 7, 2, 4])] as const;
const mask = (make: Make) => ints(make, [2, 3], [0x55555555, -1, 5, 7, 0, -0x80000000]);

const penalties: Readonly<Record<string, Partial<LogitOptions>>> = {
  'repetition penalty': { repetitionPenalty: 1.3 },
  'frequency and presence penalties': { frequencyPenalty: 0.4, presencePenalty: -0.7 },
  'no pair twice': { noRepeatNgramSize: 2 },
  'no id twice': { noRepeatNgramSize: 1 },
  'too few new ids to end': { minNewTokens: 4 },
};

export const logitSamples = (): OpSamples[] => [
  samples(processLogitsOp, [
    {
      name: 'bias and mask',
      refusesStrided: true,
      args: (make) => [make([2, 70]), undefined, undefined, undefined, make([70]), undefined, mask(make), NEUTRAL],
    },
    ...Object.entries(penalties).map(([name, options]) => ({
      name,
      refusesStrided: true as const,
      args: (make: Make) => [
        make([2, 70]),
        ...history(make),
        undefined,
        undefined,
        ints(make, [3], [0, 69, 9]),
        undefined,
        { ...NEUTRAL, ...options },
      ],
    })),
    {
      name: 'all of them, and a token that joins the text',
      refusesStrided: true,
      args: (make) => [
        make([2, 70]),
        ...history(make),
        ints(make, [2], [8, 5]),
        make([70]),
        ints(make, [1], [2]),
        mask(make),
        {
          repetitionPenalty: 0.8,
          frequencyPenalty: 0.25,
          presencePenalty: 1.1,
          noRepeatNgramSize: 3,
          minNewTokens: 5,
        },
      ],
    },
  ]),
];
