import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contextOn, type DigitModel, digitModel } from '../../../test/support/locked-digits.js';
import { freshSecret, type LockSecret, lockContext, lockMethods, stagedLock } from '../../locks/index.js';
import { cloneWeights, parameterSet, type StateDict } from '../../models/index.js';
import { parseOptions } from '../../registry/index.js';
import { Evaluator } from '../../training/index.js';
import { TransformedWeights } from '../workers/transformed-weights.js';
import { unmixOptions, unmixTransform, unmixWeights } from './unmix.js';

const redistil = lockMethods.get('redistil');
const engine = { threads: 1 };
const options = parseOptions(
  redistil.options,
  { a: 0.6, steps: 40, batchSize: 32, learningRate: 1e-3, evaluateEvery: 20, settle: 0, maxDrop: 1, maxKl: null },
  'redistil',
);
let digits: DigitModel;
let evaluator: Evaluator;
beforeAll(async () => {
  digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
  evaluator = new Evaluator(digits.model, engine);
});
afterAll(() => evaluator.release());

/** The model after `redistil`. */
async function locked(secret: LockSecret): Promise<StateDict> {
  const weights = cloneWeights(digits.model.weights);
  const { train, validation } = digits;
  const context = lockContext(
    { model: { ...digits.model, weights }, data: { train, validation }, seed: 1, secret },
    { engine },
  );
  await redistil.run(context, options);
  await context.release();
  return weights;
}

const learned = () => unmixTransform.learn?.(redistil.reveals?.(options) ?? {}) ?? unmixOptions.parse({});
const factsOf = (weights: StateDict) => ({ model: digits.model, weights, isLocked: true });

/** Share of the digits 3 to 5, which the lock takes away, that weights tell apart without having learnt anything. */
async function knows(weights: StateDict): Promise<number> {
  const { test } = digits.others;
  const outputs = await evaluator.outputs(parameterSet(weights), test);
  const width = outputs.length / test.size;
  const isRight = (label: number, row: number) => {
    const logits = outputs.subarray(row * width + 3, (row + 1) * width);
    return logits.every((value) => value <= logits[label]);
  };
  return test.labels.reduce((sum, label, row) => sum + Number(isRight(label, row)), 0) / test.size;
}

describe('unmix', () => {
  it('gives back what a lock took away that drew from a seed that people use, without data and without learning', async () => {
    const weights = await locked(7);
    expect(learned()).toMatchObject({ a: 0.6, include: ['*'], exclude: [] });
    expect(unmixTransform.applies?.(factsOf(weights), learned())).toBeUndefined();
    const undone = unmixWeights(digits.model, weights, learned());
    expect(await knows(digits.model.weights)).toBeGreaterThan(0.9);
    expect(await knows(weights)).toBeLessThan(0.6);
    expect(await knows(undone)).toBeGreaterThan(0.8);
  });

  it('finds nothing where the secret is fresh or the seed another one, and says so', async () => {
    const transformed = new TransformedWeights();
    for (const [key, secret] of Object.entries({ fresh: freshSecret(), far: 16 })) {
      const weights = await locked(secret);
      expect(unmixTransform.applies?.(factsOf(weights), learned())).toBe(
        'finds no numbers in the weights that one of 16 guessed seeds gives',
      );
      const from = { key, model: digits.model, weights, fresh: () => digits.model.weights };
      const found = await transformed.get(from, [{ name: 'unmix', options: { ...learned() } }], 1);
      expect(found.work.notes).toEqual(['unmix found nothing to change']);
      expect(found.weights).toBe(weights);
    }
    // Nor in what was never mixed.
    expect(unmixWeights(digits.model, digits.model.weights, learned())).toBe(digits.model.weights);
  });

  it('is not told of a lock from scratch, which leaves nothing of the original', () => {
    const scratch = redistil.reveals?.({ ...options, a: 1 }) ?? {};
    expect(unmixTransform.learn?.(scratch)).toBeUndefined();
    expect(redistil.reveals?.({ ...options, a: 0 })).toEqual({});
  });

  it('knows of a repeated stage that its numbers are others', async () => {
    const drawn: string[] = [];
    const context = contextOn(digits);
    const draws = await context.draws();
    const noted = async () => (purpose: string) => {
      drawn.push(purpose);
      return draws(purpose);
    };
    const watched = { ...context, draws: noted };
    const twice = stagedLock([redistil, redistil]);
    await twice.run(watched, { redistil: { ...options, steps: 1, evaluateEvery: 1 } });
    await context.release();
    expect(new Set(drawn).size).toBe(drawn.length);
  });
});
