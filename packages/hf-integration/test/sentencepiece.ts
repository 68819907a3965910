// A small tokenizer as Llama 2 and Mistral have them: sentencepiece pieces, and a token for each byte of what they lack.
import { Tokenizer } from '../src/tokenizer/tokenizer.ts';

export function sentencePiece(): Tokenizer {
  const special = ['<unk>', '<s>', '</s>'];
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
  const pieces = ['▁', 'a', 'b', '▁a', '▁b', 'ab', '東', '"', '{', '}', '":', '▁"', '1', '▁{'];
  const vocab = Object.fromEntries([...special, ...bytes, ...pieces].map((token, id) => [token, id]));
  return new Tokenizer(
    {
      version: '1.0',
      added_tokens: special.map((content, id) => ({
        id,
        content,
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      })),
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      pre_tokenizer: null,
      post_processor: null,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: '<unk>',
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: true,
        vocab,
        merges: ['▁ a', '▁ b', 'a b', '▁ "', '▁ {'],
      },
    },
    {},
  );
}
