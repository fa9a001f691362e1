import { z } from 'zod';
import { batchAt, type Dataset } from '../../data/index.js';
import type { FlopTally } from '../../engine/index.js';
import { multiplyRight, RandomStream } from '../../linalg/index.js';
import type { ModelSpec, StateDict, Weight } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { loadTokenizer, type Tokenizer } from '../../text/index.js';
import { addFlops, uncounted } from '../closed-forms.js';
import { centred, meanOf, RidgeRegression } from '../ridge-regression.js';
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

/** A table, `[rows, columns]`, and what a public model says of each row: nothing of some. */
export interface SaidOfRows {
  /** `[rows, columns]`. */
  readonly table: Float32Array;
  /** `[rows, width]`. */
  readonly vectors: Float64Array;
  /** How many rows the table has. */
  readonly rows: number;
  /** Rows that are as they were. */
  readonly trusted: readonly number[];
  /** Rows that the vectors are to fill. */
  readonly filled: readonly number[];
}

/** Of the trusted rows, every so many is held out to choose the ridge by. */
const heldOut = 5;
/** Ridges, of the mean eigenvalue. */
const ridges = Array.from({ length: 11 }, (_, at) => 10 ** (at / 2 - 3));
/** A table that says less of what the vectors do is not like them: a share of its variance. */
const leastShare = 0.02;

/**
 * Fills rows of a table with what a ridge regression on public vectors says of them, fitted to the rows that are trusted, at the spread of
 * those. Where the vectors say nothing of these, as of a table that was just drawn, all rows get the vectors themselves, under a random
 * projection, at the table's own spread.
 *
 * @returns The table, and the share of its variance that the vectors explain on trusted rows held out; below 0.02: that projection.
 */
export function fillRows(
  { table, vectors, rows, trusted, filled }: SaidOfRows,
  tally: FlopTally = uncounted(),
): { readonly table: Float32Array; readonly share: number } {
  const [columns, width] = [table.length / rows, vectors.length / rows];
  const x = (some: readonly number[]) => rowsOf(vectors, some, width);
  const y = (some: readonly number[]) => rowsOf(table, some, columns);
  const made = table.slice();
  const put = (
    some: readonly number[],
    values: Float64Array,
    { mean, factor }: { mean?: Float64Array; factor: number },
  ) =>
    some.forEach((row, at) => {
      for (let c = 0; c < columns; c++) {
        const center = mean?.[c] ?? 0;
        made[row * columns + c] = center + factor * (values[at * columns + c] - center);
      }
    });
  const { ridge, share } = bestRidge(trusted, x, y, tally);
  if (share < leastShare) {
    const all = [...trusted, ...filled];
    const drawn = projected(x(all), all.length, columns, tally);
    put(all, drawn, { factor: spread(y(all), all.length) / spread(drawn, all.length) });
    return { table: made, share };
  }
  const regression = new RidgeRegression(x(trusted), y(trusted), trusted.length, tally);
  // A regression says less of what it is unsure of: the network is used to more.
  const factor = spread(y(trusted), trusted.length) / spread(regression.predict(x(trusted), ridge), trusted.length);
  put(filled, regression.predict(x(filled), ridge), { mean: regression.mean, factor });
  return { table: made, share };
}

/** The ridge that explains most of the variance of trusted rows held out, and how much that is; none: 0. */
function bestRidge(
  trusted: readonly number[],
  x: (some: readonly number[]) => Float64Array,
  y: (some: readonly number[]) => Float64Array,
  tally: FlopTally,
): { readonly ridge: number; readonly share: number } {
  const train = trusted.filter((_, at) => at % heldOut !== 0);
  const held = trusted.filter((_, at) => at % heldOut === 0);
  let best = { ridge: ridges[0], share: 0 };
  if (held.length < 2) return best;
  const regression = new RidgeRegression(x(train), y(train), train.length, tally);
  const given = y(held);
  const all = squares(centred(given, regression.mean));
  for (const ridge of ridges) {
    const said = regression.predict(x(held), ridge);
    const share = 1 - squares(said.map((value, at) => value - given[at])) / all;
    if (share > best.share) best = { ridge, share };
  }
  return best;
}

/** Centred vectors under a projection of normal numbers, the same each time. */
function projected(x: Float64Array, rows: number, columns: number, tally: FlopTally): Float64Array {
  const width = x.length / rows;
  const stream = new RandomStream(0, 'projection of word vectors');
  const projection = Float64Array.from({ length: width * columns }, () => stream.normal());
  const made = new Float64Array(rows * columns);
  multiplyRight(centred(x, meanOf(x, rows)), rows, width, projection, columns, made);
  addFlops(tally, 2 * rows * width * columns);
  return made;
}

function rowsOf(x: ArrayLike<number>, some: readonly number[], columns: number): Float64Array {
  const found = new Float64Array(some.length * columns);
  for (const [at, row] of some.entries()) {
    for (let c = 0; c < columns; c++) found[at * columns + c] = x[row * columns + c];
  }
  return found;
}

const squares = (x: Float64Array) => x.reduce((sum, value) => sum + value * value, 0);

/** Root of the mean square about the mean. */
const spread = (x: Float64Array, rows: number) => Math.sqrt(squares(centred(x, meanOf(x, rows))) / x.length) || 1;

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
    const [trusted, filled] = [(id: number) => counts[id] >= least, (id: number) => counts[id] < least].map((is) =>
      ids.filter(is),
    );
    const { table, share } = fillRows({ table: data, vectors, rows: shape[0], trusted, filled }, tally);
    if (share < leastShare) {
      charge({ notes: ['word-vectors put the vectors themselves into the table, which says nothing that they say'] });
    }
    return new Map([...weights, [name, { shape, data: table }]]);
  },
};
