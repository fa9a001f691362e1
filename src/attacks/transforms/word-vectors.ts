import { z } from 'zod';
import { batchAt, type Dataset } from '../../data/index.js';
import type { ModelSpec, StateDict, Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { loadTokenizer, type Tokenizer } from '../../text/index.js';
import { fillRows, leastShare } from '../preparation/fill-rows.js';
import type { Transform } from './transform.js';

/** Options of the transform `word-vectors`. */
export const wordVectorsOptions = z.strictObject({
  vectors: z
    .string()
    .min(1)
    .describe('model directory of any public language model, whose table of tokens says what words mean'),
  trusted: z
    .int()
    .min(1)
    .default(20)
    .describe('how often the authorized examples have a token whose row is taken to be as it was'),
});

/** What a public model says of each token of a vocabulary: the mean of the tokens that spell it; undefined of those that none do. */
function vectorsOf(own: Tokenizer, other: Tokenizer, table: Weight): (Float64Array | undefined)[] {
  const [, width] = table.shape;
  const texts = Array.from({ length: own.size }, (_, id) => own.decode([id]));
  // Where no token brings the space before a word, those that begin none say so.
  const hasSpaces = texts.some((text) => text.startsWith(' '));
  return texts.map((text, id) => {
    if (own.vocabulary.special.has(id) || text.trim() === '') return undefined;
    const spelt = hasSpaces ? text : text.startsWith('##') ? text.slice(2) : ` ${text}`;
    const { ids } = other.encode(spelt, undefined, { addSpecialTokens: false });
    if (ids.length === 0) return undefined;
    const mean = new Float64Array(width);
    for (const each of ids) {
      for (let c = 0; c < width; c++) mean[c] += table.data[each * width + c] / ids.length;
    }
    return mean;
  });
}

/** How often examples have each token, padding apart. */
function countTokens(dataset: Dataset, rows: number): Float64Array {
  const counts = new Float64Array(rows);
  for (let position = 0; position < dataset.size; position++) {
    const { input_ids: ids, attention_mask: mask } = batchAt(dataset, Uint32Array.of(position));
    for (let at = 0; at < ids.length; at++) if (Number(mask[at]) !== 0) counts[Number(ids[at])]++;
  }
  return counts;
}

/** Tokens that a model reads; undefined where it reads none. */
function vocabularyOf({ config }: ModelSpec): number | undefined {
  const { vocab_size: size } = config as Readonly<Record<string, unknown>>;
  return typeof size === 'number' ? size : undefined;
}

/** The table of tokens: the first weight that has a row for each. */
function tableOf(weights: StateDict, least: number, source: string): readonly [name: string, table: Weight] {
  const found = [...weights].find(([, { shape }]) => shape.length === 2 && shape[0] >= least && shape[0] > shape[1]);
  if (found) return found;
  throw new InputError(`${source}: expected a table of ${least} tokens among the weights, found none`);
}

const examplesOfTask = 'examples like those of the authorized task, whose words are trusted';

/** Takes the rows of rare words from another model. */
export const wordVectorsTransform: Transform<z.output<typeof wordVectorsOptions>> = {
  name: 'word-vectors',
  description: 'take the rows of words that the authorized examples rarely have from the table of a public model',
  options: wordVectorsOptions,
  isSeeded: false,
  works: true,
  ofAnyone: true,
  alsoOnRandom: true,
  label: { alone: 'words of another model', joined: 'word-vectors' },
  doing: 'taking rare words from another model',
  does: 'takes the rows of rare words from the table of a public model, by a regression on those of the others',
  knows: 'the word vectors of a public model',
  reads: ({ vectors }) => [vectors],
  lacks: (_, { hasRetain }) => (hasRetain ? undefined : examplesOfTask),
  applies: ({ model }) => (vocabularyOf(model) === undefined ? 'finds no table of words' : undefined),
  apply: async ({ model, weights, other, bench, tally, charge }, { vectors: path, trusted: least }) => {
    const { retain, tokenizer } = bench();
    if (!retain || tokenizer === undefined)
      throw new InputError(`word-vectors: expected ${examplesOfTask}, found none`);
    const [own, others] = [await loadTokenizer(tokenizer), await loadTokenizer(path)];
    const [, said] = tableOf(other(path), others.size, path);
    const [name, { shape, data }] = tableOf(weights, vocabularyOf(model) ?? own.size, 'word-vectors');
    const known = vectorsOf(own, others, said);
    const counts = countTokens(retain, shape[0]);
    const ids = [...known.keys()].filter((id) => known[id]);
    const width = said.shape[1];
    const vectors = new Float64Array(shape[0] * width);
    for (const id of ids) vectors.set(known[id] ?? [], id * width);
    const trusted = ids.filter((id) => counts[id] >= least);
    const filled = ids.filter((id) => counts[id] < least);
    const { table, share } = fillRows({ table: data, vectors, rows: shape[0], trusted, filled }, tally);
    if (share < leastShare) {
      charge({ notes: ['word-vectors put the vectors themselves into the table, which says nothing that they say'] });
    }
    return new Map([...weights, [name, { shape, data: table }]]);
  },
};
