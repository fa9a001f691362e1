import { describe, expect, it } from 'vitest';
import { momentsOf, optionsOf, rankIn } from '../../../test/support/erased.js';
import { differing } from '../../../test/support/locked-digits.js';
import { createDataset, TextExamples } from '../../data/index.js';
import { exactSingularValues, RandomStream } from '../../linalg/index.js';
import { cloneWeights, initializeModel, parameterSet, weightMatrices } from '../../models/index.js';
import { InputError } from '../../registry/index.js';
import { lockContext } from '../context.js';
import { erase } from './index.js';
import { drawUnseen } from './unseen.js';

const engine = { threads: 1 };

/** A sentence encoder, and texts of words 1 to 12 alone, of different lengths so that there is padding. */
function textModel() {
  const keys = { vocab_size: 40, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 24 };
  const model = initializeModel('bert', { ...keys, architectures: ['BertModel'], initializer_range: 0.5 }, 1);
  const encodings = Array.from({ length: 24 }, (_, text) => {
    const ids = Array.from({ length: 3 + (text % 5) }, (__, at) => 1 + ((7 * text + 5 * at) % 12));
    return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
  });
  const facts = { name: 'texts', labels: new Int32Array(encodings.length), classes: [] };
  const dataset = createDataset(new TextExamples(encodings, { padId: 0 }), facts);
  return { model, dataset, encodings, words: 'embeddings.word_embeddings.weight' };
}
const named = (weights: Iterable<string>, end: string) => [...weights].find((name) => name.endsWith(end)) as string;

describe('a table of words', () => {
  it('counts each row as often as the examples look it up, padding and what they lack not at all', async () => {
    const { model, dataset, encodings, words } = textModel();
    const moments = await momentsOf(model, dataset);
    const found = moments.get(named(model.weights.keys(), words));
    expect(found?.isTable).toBe(true);
    const counts = new Float64Array(40);
    for (const { ids } of encodings) for (const id of ids) counts[id]++;
    const mean = counts.reduce((sum, count) => sum + count, 0) / 40;
    const values = [...(found?.left.values ?? [])];
    values.forEach((value, row) => {
      expect(value, `row ${row}`).toBeCloseTo(counts[row] / mean, 10);
    });
    // The metric of positions too: no text is longer than seven.
    const places = moments.get(named(model.weights.keys(), 'position_embeddings.weight'))?.left.values ?? [];
    expect(places[2]).toBeGreaterThan(places[6]);
    expect(Math.max(...[...places].slice(7))).toBe(0);
  });

  it('is one too where it is the output layer as well, as in GPT-2', async () => {
    const keys = { vocab_size: 40, n_embd: 16, n_layer: 1, n_head: 2, n_positions: 16 };
    const model = initializeModel('gpt2', { ...keys, architectures: ['GPT2LMHeadModel'], initializer_range: 0.5 }, 1);
    const { dataset } = textModel();
    const weights = cloneWeights(model.weights);
    const data = { train: dataset, validation: dataset };
    const context = lockContext({ model: { ...model, weights }, data, seed: 1, secret: 'one' }, { engine });
    const given = { rank: 16, tableRank: 5, steps: 0, utilityFloor: 0, maxKl: null, unseen: 'random' };
    const { story } = await erase.run(context, optionsOf(given));
    await context.release();
    const name = named(model.weights.keys(), 'wte.weight');
    expect(named(model.weights.keys(), 'lm_head.weight')).toBeUndefined();
    // Of 40 words the texts have 12.
    expect(story).toMatchObject({ ranks: { [name]: { rank: 5, of: 16 } }, drawn: { [name]: 28 } });
    const sigma = exactSingularValues(parameterSet(weights).get(name) ?? new Float32Array(), 40, 16);
    expect(sigma[5]).toBeLessThan(1e-5 * sigma[0]);
  });

  it('is what proxies lose their needs from, where no other matrix is named', async () => {
    const { model, dataset, words } = textModel();
    const name = named(model.weights.keys(), words);
    const weights = cloneWeights(model.weights);
    const labels = Int32Array.from({ length: dataset.size }, (_, at) => at % 2);
    const adversary = createDataset(dataset.examples, { name: 'proxy', labels, classes: ['even', 'odd'] });
    const data = { train: dataset, validation: dataset, adversary };
    const context = lockContext({ model: { ...model, weights }, data, seed: 1, secret: 'one' }, { engine });
    const { story } = await erase.run(context, optionsOf({ energy: 1, steps: 0, utilityFloor: 0, maxKl: null }));
    await context.release();
    const changed = differing(parameterSet(weights), parameterSet(model.weights));
    expect(changed).toContain(name);
    expect(changed.every((each) => each.includes('embeddings'))).toBe(true);
    expect((story as { proxyMatrices: string[] }).proxyMatrices.every((each) => each.includes('embeddings'))).toBe(
      true,
    );
  });

  it('tells how far its passes over examples are, and is ended between two runs of one, the weights as they were', async () => {
    const { model, dataset } = textModel();
    const labels = Int32Array.from({ length: dataset.size }, (_, at) => at % 2);
    const adversary = createDataset(dataset.examples, { name: 'proxy', labels, classes: ['even', 'odd'] });
    const given = optionsOf({ rank: 16, tableRank: 5, steps: 0, utilityFloor: 0, maxKl: null, unseen: 'random' });
    const locked = async (stopAt?: string) => {
      const weights = cloneWeights(model.weights);
      const passes: { what: string; total: number; done: number; ended: boolean }[] = [];
      const stop = new AbortController();
      const onPass = (what: string, total: number) => {
        const pass = { what, total, done: 0, ended: false };
        passes.push(pass);
        return {
          examples: (count: number) => {
            pass.done += count;
            if (what === stopAt) stop.abort();
          },
          end: () => {
            pass.ended = true;
          },
        };
      };
      const data = { train: dataset, validation: dataset, adversary };
      const more = { engine, onPass, signal: stop.signal };
      const context = lockContext({ model: { ...model, weights }, data, seed: 1, secret: 'one' }, more);
      const failure = await erase.run(context, given).then(() => undefined, String);
      await context.release();
      return { passes, failure, changed: differing(parameterSet(weights), parameterSet(model.weights)) };
    };
    const whole = await locked();
    expect(whole.passes.map(({ what }) => what)).toEqual([
      'what the original says',
      'utility before',
      'what proxies need',
      'what the output needs',
      'rows in use',
    ]);
    for (const { what, total, done, ended } of whole.passes) {
      expect([done, ended], what).toEqual([total, true]);
      expect(total, what).toBeGreaterThanOrEqual(dataset.size);
    }
    expect(whole.failure).toBeUndefined();
    const stopped = await locked('what the output needs');
    expect(stopped.failure).toContain('interrupted before the first step');
    expect(stopped.changed).toEqual([]);
    expect(stopped.passes.at(-1)).toMatchObject({ what: 'what the output needs', ended: false });
  });

  it('has random codes for what no training example looks up, where that is asked for', async () => {
    const { model, dataset, words } = textModel();
    const name = named(model.weights.keys(), words);
    const table = async (unseen: string, secret = 'one', examples = 4) => {
      const weights = cloneWeights(model.weights);
      const data = { train: dataset, validation: dataset };
      const context = lockContext({ model: { ...model, weights }, data, seed: 1, secret }, { engine });
      const given = { rank: 16, tableRank: 5, steps: 0, utilityFloor: 0, maxKl: null, unseen, examples };
      const { story } = await erase.run(context, optionsOf(given));
      await context.release();
      return { values: parameterSet(weights).get(name) ?? new Float32Array(), story };
    };
    const [kept, drawn, again, other] = [
      await table('keep'),
      await table('random'),
      await table('random'),
      await table('random', 'two'),
    ];
    const row = ({ values }: { values: Float32Array }, at: number) => values.subarray(16 * at, 16 * (at + 1));
    // Looked up by texts that were not among the four that were measured on.
    for (let at = 1; at <= 12; at++) expect(row(drawn, at)).toEqual(row(kept, at));
    expect(again.values).toEqual(drawn.values);
    expect(kept.story).not.toHaveProperty('drawn');
    expect((drawn.story as { drawn: Record<string, number> }).drawn[name]).toBe(28);
    const original = parameterSet(model.weights).get(name) ?? new Float32Array();
    const cosine = (a: Float32Array, b: Float32Array) =>
      a.reduce((sum, value, i) => sum + value * b[i], 0) / (Math.hypot(...a) * Math.hypot(...b));
    const all = (of: Float32Array) => of.subarray(13 * 16);
    expect(Math.abs(cosine(all(drawn.values), all(original)))).toBeLessThan(0.2);
    expect(Math.abs(cosine(all(drawn.values), all(other.values)))).toBeLessThan(0.3);
    expect(cosine(all(kept.values), all(original))).toBeGreaterThan(0.25);
    // As long as the rows that are kept, and in the same five directions.
    const meanSquare = (from: number, to: number) =>
      drawn.values.subarray(16 * from, 16 * to).reduce((sum, value) => sum + value * value, 0) / (to - from);
    expect(meanSquare(13, 40) / meanSquare(1, 13)).toBeGreaterThan(0.6);
    expect(meanSquare(13, 40) / meanSquare(1, 13)).toBeLessThan(1.6);
    const sigma = exactSingularValues(drawn.values, 40, 16);
    expect(sigma[5]).toBeLessThan(1e-5 * sigma[0]);
  });
});

it('random codes have the second moment of the rows that are looked up', () => {
  const [rows, columns, seen] = [20_000, 3, 50];
  const table = new Float32Array(rows * columns).fill(9);
  const stream = new RandomStream(1, 'rows');
  for (let row = 0; row < seen; row++) {
    const [a, b] = [stream.normal(), stream.normal()];
    table.set([2 * a, a + 0.5 * b, 0], row * columns);
  }
  const counts = Float64Array.from({ length: rows }, (_, row) => Number(row < seen));
  const before = table.slice(0, seen * columns);
  expect(drawUnseen(table, counts, new RandomStream(2, 'codes'))).toBe(rows - seen);
  expect(table.subarray(0, seen * columns)).toEqual(before);
  const moment = (from: number, to: number) => {
    const sum = new Float64Array(9);
    for (let row = from; row < to; row++)
      for (let i = 0; i < 9; i++)
        sum[i] += (table[row * 3 + Math.floor(i / 3)] * table[row * 3 + (i % 3)]) / (to - from);
    return sum;
  };
  const [own, drawn] = [moment(0, seen), moment(seen, rows)];
  // Of 20,000 draws the moments are known to one part in a hundred.
  for (let i = 0; i < 9; i++) expect(Math.abs(drawn[i] - own[i])).toBeLessThan(0.05 * own[0]);
  expect(drawUnseen(table, new Float64Array(rows), stream)).toBe(0);
  // With a bound, what is rarer than it is drawn too.
  const rare = table.slice();
  const often = Float64Array.from({ length: rows }, (_, row) => (row < seen ? 1 + (row % 4) : 0));
  expect(drawUnseen(rare, often, new RandomStream(4, 'codes'), { unseenBelow: 3 })).toBe(rows - 24);
  for (let row = 0; row < seen; row++) {
    const isSame = rare.subarray(3 * row, 3 * row + 3).every((value, at) => value === table[3 * row + at]);
    expect(isSame, `row ${row}`).toBe(often[row] >= 3);
  }
  // Of few codes each is that of many rows.
  const shared = table.slice();
  drawUnseen(shared, often, new RandomStream(4, 'codes'), { unseenCodes: 16 });
  const codes = new Map<string, number>();
  for (let row = seen; row < rows; row++) {
    const code = shared.subarray(3 * row, 3 * row + 3).join();
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  expect(codes.size).toBe(16);
  for (const count of codes.values()) expect(Math.abs((16 * count) / (rows - seen) - 1)).toBeLessThan(0.2);
});

it('erases from an encoder of texts, its tables too, and leaves alone what the output does not depend on', async () => {
  const keys = { vocab_size: 32, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 24 };
  const model = initializeModel('bert', { ...keys, architectures: ['BertModel'], initializer_range: 0.5 }, 1);
  const encodings = [9, 4, 12, 7, 5, 6].map((length, text) => {
    const ids = Array.from({ length }, (_, at) => 1 + ((7 * text + 5 * at) % 31));
    return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
  });
  const facts = { name: 'texts', labels: new Int32Array(encodings.length), classes: [] };
  const dataset = createDataset(new TextExamples(encodings, { padId: 0 }), facts);
  const weights = cloneWeights(model.weights);
  const data = { train: dataset, validation: dataset };
  const context = lockContext({ model: { ...model, weights }, data, seed: 1 }, { engine });
  const result = await erase.run(context, optionsOf({ rank: 5, tableRank: 7, steps: 0, utilityFloor: 0, maxKl: null }));
  await context.release();
  const ranks = (result.story as { ranks: Record<string, { rank: number; of: number }> }).ranks;
  expect(Object.keys(ranks).sort()).toEqual(
    weightMatrices(model.weights)
      .map(({ name }) => name)
      .filter((name) => !name.includes('pooler'))
      .sort(),
  );
  const words = [...weights.keys()].find((name) => name.endsWith('word_embeddings.weight')) as string;
  expect(ranks[words]).toMatchObject({ rank: 7, of: 16 });
  const params = parameterSet(weights);
  expect(rankIn(params, model, words)).toBe(7);
  const query = [...weights.keys()].find((name) => name.endsWith('0.attention.self.query.weight')) as string;
  expect(rankIn(params, model, query)).toBe(5);
  expect(result.after?.metrics.cosine).toBeLessThan(0.999);
});

it('asks for random codes where something is said of them', () => {
  const refused = (options: Record<string, unknown>) => expect(() => optionsOf(options)).toThrow(InputError);
  for (const options of [{ unseenBelow: 3 }, { unseenCodes: 3, unseen: 'keep' }]) refused(options);
  expect(() => optionsOf({ unseenCodes: 3 })).toThrow(/unseenCodes: expected unseen random beside it, found keep/);
  expect(optionsOf({ unseen: 'random', unseenBelow: 3, unseenCodes: 9 })).toMatchObject({ unseenBelow: 3 });
});
