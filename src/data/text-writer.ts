import { encodeText, type TextEncoding } from './encode-text.js';
import type { TextWriter } from './examples.js';
import { TextExamples } from './text-examples.js';

/** Makes examples of texts as an encoding has them; what it would refuse as too long is cut. */
export function textWriter(how: TextEncoding): TextWriter {
  const { tokenizer, limit } = how;
  const { padId, vocabulary } = tokenizer;
  let words: readonly string[] | undefined;
  const isWord = (word: string) => tokenizer.encode(word, undefined, { addSpecialTokens: false }).ids.length === 1;
  return {
    isWord,
    words: () => {
      words ??= wordsOf(how);
      return words;
    },
    encode: (texts) => {
      const encodings = texts.map(
        ([text, pair], at) => encodeText({ text, pair }, { ...how, tooLong: 'cut' }, () => `text ${at + 1}`)[0],
      );
      return new TextExamples(encodings, { padId, limit, vocabulary, writer: textWriter(how) });
    },
  };
}

const letters = /^\p{L}+$/u;

/** What single tokens stand for, where that is letters alone. */
function wordsOf({ tokenizer }: TextEncoding): readonly string[] {
  const { size, special } = tokenizer.vocabulary;
  const found = new Set<string>();
  for (let id = 0; id < size; id++) {
    if (special.has(id)) continue;
    const text = tokenizer.decode([id]).trim();
    if (letters.test(text)) found.add(text);
  }
  return [...found];
}
