import { describe, expect, it } from 'vitest';
import { initializeWeights, modelState } from '../src/models/index.js';
import { largestDifference } from './support/compare.js';
import { compute, computeRounded, hashedParameters, readLanguageFixture, specOf } from './support/language-fixtures.js';
import { worstOfDigests } from './support/vision-fixtures.js';

/** Families of tools/oracles/language_models.py. */
const families = ['bert', 'roberta', 'distilbert', 'deberta-v2'];

/** Largest errors measured, each relative to its own element or the tensor's root mean square. */
const tolerances = { output: 2e-6, loss: 1e-6, gradients: 1e-5 };
/** Only the gradients of attention’s key biases, which are zero but for rounding, lie far below: 1e-8. */
const zero = 5e-3;

describe.each(families)('%s against transformers', (family) => {
  const fixture = readLanguageFixture(family);
  const { seed, texts, types, single, dropout } = fixture;
  const table = fixture.cases.map((one) => {
    const { hidden_act, tie_word_embeddings } = one.config;
    return {
      ...one,
      name: [one.class, hidden_act, tie_word_embeddings].filter((part) => part !== undefined).join(' '),
    };
  });
  const padding = (one: (typeof table)[number]) => Number(one.config.pad_token_id ?? 0);

  it.each(table)('$name: output, loss and every gradient, padded on the right', async (one) => {
    const spec = specOf(one);
    expect(spec.head.kind).toBe(one.kind);
    expect(
      modelState(spec)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(Object.keys(one.first));
    const weights = hashedParameters(spec, seed);
    const found = await compute(spec, weights, { texts, types, padding: padding(one) }, { seed });
    expect(largestDifference(found.output, one.batch.output).error).toBeLessThan(tolerances.output);
    expect(Math.abs(found.loss - one.batch.loss)).toBeLessThan(tolerances.loss * Math.max(1, Math.abs(one.batch.loss)));
    const gradient = worstOfDigests(found.gradients, one.gradients, zero, seed);
    expect(gradient.error, `gradient of ${gradient.where}`).toBeLessThan(tolerances.gradients);
  });

  it.each(table)('$name: a new one begins as in transformers', (one) => {
    const spec = specOf(one);
    const weights = initializeWeights(modelState(spec), 1);
    const deviation = (values: number[]) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
    const all: number[] = [];
    for (const [name, first] of Object.entries(one.first)) {
      const { data, shape } = weights.get(name) ?? { data: new Float32Array(0), shape: [0] };
      if ('constant' in first) expect([...data], name).toEqual(Array(data.length).fill(first.constant));
      else {
        const width = data.length / shape[0];
        const rows = [...Array(shape[0]).keys()].map((row) => [...data.slice(row * width, (row + 1) * width)]);
        const zeros = rows.flatMap((row, at) => (row.every((value) => value === 0) ? [at] : []));
        expect(zeros, name).toEqual(first.zeros);
        all.push(...rows.filter((_, at) => !zeros.includes(at)).flat());
      }
    }
    // Thousands of numbers: within a few percent of initializer_range.
    expect(deviation(all)).toBeGreaterThan(0.019);
    expect(deviation(all)).toBeLessThan(0.021);
  });

  it.each(table)('$name: the same padded on the left, and further', async (one) => {
    const spec = specOf(one);
    const weights = hashedParameters(spec, seed);
    for (const given of [{ side: 'left' as const }, { side: 'left' as const, length: 9 }, { length: 10 }]) {
      const found = await compute(spec, weights, { texts, types, padding: padding(one), ...given }, { seed });
      expect(largestDifference(found.output, one.batch.output).error).toBeLessThan(tolerances.output);
      expect(Math.abs(found.loss - one.batch.loss)).toBeLessThan(
        tolerances.loss * Math.max(1, Math.abs(one.batch.loss)),
      );
      const gradient = worstOfDigests(found.gradients, one.gradients, zero, seed);
      expect(gradient.error, `gradient of ${gradient.where}`).toBeLessThan(tolerances.gradients);
    }
  });

  it.each(table)('$name: a text alone', async (one) => {
    const spec = specOf(one);
    const weights = hashedParameters(spec, seed);
    const given = { texts: [single.text], types: [single.types] };
    const found = await compute(spec, weights, given, { seed });
    expect(largestDifference(found.output, one.alone.output).error).toBeLessThan(tolerances.output);
    expect(found.loss).toBeCloseTo(one.alone.loss, 5);
  });

  it.each(table)('$name: training drops where transformers does', async (one) => {
    const spec = specOf(one, dropout);
    const weights = hashedParameters(spec, seed);
    const { scope } = spec.build(
      Object.fromEntries(Object.keys(spec.inputs).map((name) => [name, { shape: [1, 2], dtype: 'int64' as const }])),
      { training: true },
    );
    expect(scope.masks.map(({ keepProbability }) => keepProbability)).toEqual(
      Array(one.training.masks).fill(1 - dropout),
    );
    const given = { texts, types, padding: padding(one) };
    const found = await compute(spec, weights, given, { seed, training: true, keep: 1 - dropout });
    expect(Math.abs(found.loss - one.training.loss)).toBeLessThan(
      tolerances.loss * Math.max(1, Math.abs(one.training.loss)),
    );
  });

  it.each(table)('$name: what stands under the mask changes nothing, nor does a text of padding alone', async (one) => {
    const spec = specOf(one);
    const weights = hashedParameters(spec, seed);
    const given = { texts, types, padding: padding(one) };
    const plain = await compute(spec, weights, given, { seed });
    const other = await compute(spec, weights, given, {
      seed,
      change({ input_ids, attention_mask, token_type_ids }) {
        attention_mask.forEach((seen, at) => {
          if (seen !== 0n) return;
          input_ids[at] = BigInt(6 + (at % 5));
          token_type_ids[at] = 1n;
        });
      },
    });
    expect(other.loss).toBe(plain.loss);
    expect(other.output).toEqual(plain.output);
    for (const [name, values] of plain.gradients) expect(other.gradients.get(name), name).toEqual(values);
    const empty = await compute(spec, weights, { ...given, texts: [[], [3, 4]], types: [[], [0, 0]] }, { seed });
    expect([...empty.output, empty.loss].every(Number.isFinite)).toBe(true);
    for (const values of empty.gradients.values()) expect(values.every(Number.isFinite)).toBe(true);
  });

  it.each(table)('$name: in 16 bits too, padding changes no text that is not padding', async (one) => {
    const spec = specOf(one);
    const weights = hashedParameters(spec, seed);
    const width = spec.head.size;
    for (const type of ['float16', 'bfloat16'] as const) {
      const alone = await computeRounded(spec, weights, { texts: [texts[1]], types: [types[1]] }, type);
      expect(alone.every(Number.isFinite)).toBe(true);
      for (const side of ['left', 'right'] as const) {
        const batch = { texts: [[], texts[1]], types: [[], types[1]], length: 9, side, padding: padding(one) };
        const all = await computeRounded(spec, weights, batch, type);
        expect(all.every(Number.isFinite)).toBe(true);
        const places = all.length / width / 2;
        const from = places + (side === 'left' && places > 1 ? 9 - texts[1].length : 0);
        expect(all.slice(from * width, from * width + alone.length)).toEqual(alone);
      }
    }
  });
});
