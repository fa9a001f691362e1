import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { textExamples } from '../../../test/support/texts.js';
import { createDataset } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel, type Model, type Weight } from '../../models/index.js';
import { loadTokenizer } from '../../text/index.js';
import type { Bench, Work } from '../index.js';
import { uncounted } from '../preparation/closed-forms.js';
import { fillRows } from '../preparation/fill-rows.js';
import { wordVectorsOptions, wordVectorsTransform } from './index.js';
import type { TransformContext } from './transform.js';

const [rows, columns, width] = [300, 8, 12];
const normal = (name: string, count: number) => {
  const stream = new RandomStream(4, name);
  return Float64Array.from({ length: count }, () => stream.normal());
};
const vectors = normal('vectors', rows * width);
const map = normal('map', width * columns);
/** What the vectors say of each row, and a tenth of noise. */
const meant = Float32Array.from(normal('noise', rows * columns), (noise, at) => {
  const [row, column] = [Math.floor(at / columns), at % columns];
  let sum = 5;
  for (let c = 0; c < width; c++) sum += vectors[row * width + c] * map[c * columns + column];
  return sum + 0.1 * noise;
});
const all = Array.from({ length: rows }, (_, row) => row);
const [trusted, filled] = [all.filter((row) => row % 3 === 0), all.filter((row) => row % 3 !== 0)];
const coded = (table: Float32Array, some: readonly number[]) => {
  const codes = normal('codes', table.length);
  const found = table.slice();
  for (const row of some) for (let c = 0; c < columns; c++) found[row * columns + c] = 5 + 3 * codes[row * columns + c];
  return found;
};

/** Correlation of numbers. */
function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [a, b].map((each) => {
    const values = Array.from(each);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map((value) => value - mean);
  });
  const dot = (p: number[], q: number[]) => p.reduce((sum, value, at) => sum + value * q[at], 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}
const rowOf = (table: Float32Array, row: number) => table.subarray(row * columns, (row + 1) * columns);

describe('rows that public vectors fill', () => {
  it('are as they were meant, where codes stood in their place, and the trusted ones stay', () => {
    const locked = coded(meant, filled);
    const tally = uncounted();
    const { table, share } = fillRows({ table: locked, vectors, rows, trusted, filled }, tally);
    expect(share).toBeGreaterThan(0.95);
    expect(tally.flops).toBeGreaterThan(2 * 80 * width * (width + columns));
    for (const row of trusted) expect(rowOf(table, row)).toEqual(rowOf(meant, row));
    for (const row of filled) {
      expect(correlation(rowOf(locked, row), rowOf(meant, row)), `row ${row}`).toBeLessThan(0.98);
      expect(correlation(rowOf(table, row), rowOf(meant, row)), `row ${row}`).toBeGreaterThan(0.98);
    }
  });

  it('are the vectors themselves, at its own spread, in a table that was drawn', () => {
    const drawn = coded(meant, all);
    const { table, share } = fillRows({ table: drawn, vectors, rows, trusted, filled });
    expect(share).toBeLessThan(0.02);
    const power = (of: Float32Array) => of.reduce((sum, value) => sum + (value - 5) ** 2, 0);
    const own = table.reduce((sum, value) => sum + value ** 2, 0);
    expect(own / power(drawn)).toBeGreaterThan(0.95);
    expect(own / power(drawn)).toBeLessThan(1.05);
    // Words that the vectors call alike are alike.
    const [far, near] = [[], []] as [number[], number[]];
    for (let row = 1; row < rows; row++) {
      const distance = (of: ArrayLike<number>, length: number) =>
        Array.from({ length }, (_, c) => (of[c] - of[row * length + c]) ** 2).reduce((sum, value) => sum + value, 0);
      far.push(distance(vectors, width));
      near.push(distance(table, columns));
    }
    expect(correlation(far, near)).toBeGreaterThan(0.5);
  });

  it('are filled where hardly any is trusted too', () => {
    const { table, share } = fillRows({ table: meant, vectors, rows, trusted: [0, 1], filled });
    expect(share).toBe(0);
    expect(table.every(Number.isFinite)).toBe(true);
  });
});

describe('word-vectors', async () => {
  const reader = resolve('test/fixtures/tokenizers/wordpiece');
  const tokenizer = await loadTokenizer(reader);
  const { size, vocabulary } = tokenizer;
  const sizes = { vocab_size: size, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2 };
  const model = initializeModel('bert', { ...sizes, intermediate_size: 8, type_vocab_size: 1 }, 1);
  const name = 'embeddings.word_embeddings.weight';
  const tableOf = ({ weights }: Pick<Model, 'weights'>) => weights.get(name) as Weight;
  const other = initializeModel('bert', { ...sizes, hidden_size: 12, intermediate_size: 8, type_vocab_size: 1 }, 9);
  /** The table is a linear image of the public one. */
  const { data } = tableOf(model);
  for (let at = 0; at < data.length; at++) {
    const [row, column] = [Math.floor(at / 8), at % 8];
    data[at] = 0;
    for (let c = 0; c < 12; c++) data[at] += tableOf(other).data[row * 12 + c] * map[c * 8 + column];
  }
  /** Tokens that begin a word: the others are spelt by other tokens where they stand alone. */
  const words = Array.from({ length: size }, (_, id) => id).filter(
    (id) => !vocabulary.special.has(id) && !tokenizer.decode([id]).startsWith('##'),
  );
  const common = words.filter((id) => id % 2 === 0);
  const texts = Array.from({ length: 25 }, () => common);
  const retain = createDataset(textExamples(texts), { name: 'texts', labels: new Int32Array(25), classes: ['a'] });
  const locked = new Map(model.weights);
  const codes = normal('codes', data.length);
  const isCommon = new Set(common);
  const table = data.map((value, at) => (isCommon.has(Math.floor(at / 8)) ? value : 0.03 * codes[at]));
  locked.set(name, { shape: [size, 8], data: table });
  const apply = async (options: object, bench: Partial<Bench> = { retain, tokenizer: reader }) => {
    const charged: Partial<Work>[] = [];
    const context = {
      ...{ model, weights: locked, other: () => other.weights, bench: () => bench as Bench, tally: uncounted() },
      charge: (work: Partial<Work>) => charged.push(work),
    };
    const made = await wordVectorsTransform.apply(
      context as unknown as TransformContext,
      wordVectorsOptions.parse({ vectors: reader, ...options }),
    );
    return { made, charged };
  };

  it('gives rare words back from the table of a public model, by those that the authorized examples have', async () => {
    const { made, charged } = await apply({});
    const found = tableOf({ weights: new Map(made) }).data;
    expect([...made.keys()]).toEqual([...locked.keys()]);
    for (const [each, { data: own }] of made) if (each !== name) expect(own).toBe(locked.get(each)?.data);
    for (const id of common) expect(found.subarray(8 * id, 8 * id + 8)).toEqual(data.subarray(8 * id, 8 * id + 8));
    const rare = words.filter((id) => !isCommon.has(id));
    expect(rare.length).toBeGreaterThan(50);
    const of = (from: Float32Array) => rare.flatMap((id) => [...from.subarray(8 * id, 8 * id + 8)]);
    expect(correlation(of(table), of(data))).toBeLessThan(0.2);
    expect(correlation(of(found), of(data))).toBeGreaterThan(0.99);
    expect(charged).toEqual([]);
  });

  it('says where nothing is trusted, and what it needs', async () => {
    const { charged } = await apply({ trusted: 26 });
    expect(charged).toEqual([
      { notes: ['word-vectors put the vectors themselves into the table, which says nothing that they say'] },
    ]);
    await expect(apply({}, { tokenizer: reader })).rejects.toThrow(
      'word-vectors: expected examples like those of the authorized task, whose words are trusted, found none',
    );
    const mlp = initializeModel('mlp', { num_labels: 2, hidden_sizes: [3] }, 1);
    const options = wordVectorsOptions.parse({ vectors: reader });
    const says = (of: Model) =>
      wordVectorsTransform.applies?.({ model: of, weights: of.weights, isLocked: true }, options);
    expect([says(mlp), says(model)]).toEqual(['finds no table of words', undefined]);
    expect(wordVectorsTransform.reads?.(options)).toEqual([reader]);
  });
});
