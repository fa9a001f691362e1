import { afterAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { initializeModel } from '../../models/index.js';
import { type Transform, transforms } from '../index.js';
import { modelDigest, TransformedWeights } from './transformed-weights.js';

const config = { num_labels: 2, hidden_sizes: [4, 3] };
const model = initializeModel('mlp', config, 1);

/** Two transforms that count how often they are applied. */
const applied = vi.fn();
const counted = (name: string, isSeeded: boolean): Transform => ({
  name,
  description: 'counts',
  options: z.strictObject({ add: z.number().default(1) }) as z.ZodType<unknown>,
  isSeeded,
  apply: ({ weights, fresh }, options) => {
    const { add } = options as { add: number };
    applied(name, add);
    const drawn = isSeeded ? fresh() : weights;
    return new Map(
      [...weights].map(([key, { shape }]) => [
        key,
        { shape, data: (drawn.get(key)?.data ?? new Float32Array()).map((x) => x + add) },
      ]),
    );
  },
});
transforms.register(counted('plus', false));
transforms.register(counted('drawn', true));

const from = (weights = model.weights) => ({
  key: modelDigest({ ...model, weights }),
  model,
  weights,
  fresh: (seed: number) => initializeModel('mlp', config, 100 + seed).weights,
});
const plus = (add: number) => ({ name: 'plus', options: { add } });
const drawn = { name: 'drawn', options: {} };
const calls = () => {
  const found = applied.mock.calls.map(([name, add]) => `${name} ${add}`);
  applied.mockClear();
  return found;
};
afterAll(() => vi.restoreAllMocks());

describe('TransformedWeights', () => {
  it('applies each row of transforms once for a model, and begins longer rows with what shorter ones made', async () => {
    const kept = new TransformedWeights();
    const once = (await kept.get(from(), [plus(1)], 1)).weights;
    expect((await kept.get(from(), [plus(1)], 2)).weights).toBe(once);
    expect(calls()).toEqual(['plus 1']);
    const twice = (await kept.get(from(), [plus(1), plus(2)], 1)).weights;
    expect(calls()).toEqual(['plus 2']);
    const bias = (weights: typeof once) => weights.get('fc1.bias')?.data[0] ?? Number.NaN;
    expect(bias(twice)).toBeCloseTo(bias(model.weights) + 3, 5);
    // Other options, another order: other weights. A default that is spelled out is the same.
    await kept.get(from(), [plus(2), plus(1)], 1);
    expect(calls()).toEqual(['plus 2', 'plus 1']);
    expect((await kept.get(from(), [{ name: 'plus', options: {} }], 1)).weights).toBe(once);
    expect(calls()).toEqual([]);
  });

  it('keeps what is drawn by the seed, and what comes before it for all', async () => {
    const kept = new TransformedWeights();
    const steps = [plus(1), drawn, plus(2)];
    const one = (await kept.get(from(), steps, 1)).weights;
    const two = (await kept.get(from(), steps, 2)).weights;
    expect(calls()).toEqual(['plus 1', 'drawn 1', 'plus 2', 'drawn 1', 'plus 2']);
    expect(one.get('fc1.weight')?.data).not.toEqual(two.get('fc1.weight')?.data);
    expect((await kept.get(from(), steps, 1)).weights).toBe(one);
    expect(calls()).toEqual([]);
  });

  it('says which transform found nothing to change', async () => {
    const kept = new TransformedWeights();
    const notes = async (...steps: readonly ReturnType<typeof plus>[]) => (await kept.get(from(), steps, 1)).work.notes;
    expect(await notes(plus(1))).toBeUndefined();
    expect(await notes(plus(0))).toEqual(['plus found nothing to change']);
    expect(await notes(plus(1), plus(0), plus(2))).toEqual(['plus found nothing to change']);
    applied.mockClear();
  });

  it('knows models by what they hold, not by where they lie', async () => {
    const kept = new TransformedWeights();
    const copy = initializeModel('mlp', config, 1);
    const other = initializeModel('mlp', config, 2);
    const made = (await kept.get(from(), [plus(1)], 1)).weights;
    expect((await kept.get(from(copy.weights), [plus(1)], 1)).weights).toBe(made);
    expect((await kept.get(from(other.weights), [plus(1)], 1)).weights).not.toBe(made);
    const wider = initializeModel('mlp', { ...config, hidden_sizes: [4, 4] }, 1);
    const digests = [model, copy, other, wider].map(modelDigest);
    expect(new Set(digests).size).toBe(3);
    calls();
  });

  it('keeps so many copies, those that were used last', async () => {
    const kept = new TransformedWeights(2);
    await kept.get(from(), [plus(1)], 1);
    await kept.get(from(), [plus(2)], 1);
    await kept.get(from(), [plus(1)], 1);
    await kept.get(from(), [plus(3)], 1);
    expect(kept.size).toBe(2);
    calls();
    await kept.get(from(), [plus(1)], 1);
    expect(calls()).toEqual([]);
    await kept.get(from(), [plus(2)], 1);
    expect(calls()).toEqual(['plus 2']);
  });
});
