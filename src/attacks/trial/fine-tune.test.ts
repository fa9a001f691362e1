import { afterAll, describe, expect, it } from 'vitest';
import { floatDataset } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { RandomStream } from '../../linalg/index.js';
import { initializeModel } from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import { type FineTuneOptimizer, type FineTuneOptions, fineTune } from '../index.js';

const model = initializeModel('mlp', { input_shape: [4], num_labels: 2, hidden_sizes: [6] }, 3);
const stream = new RandomStream(1, 'points');
const labels = Int32Array.from({ length: 64 }, (_, i) => i % 2);
const train = floatDataset({
  name: 'clouds',
  shape: [4],
  inputs: Float32Array.from({ length: 256 }, (_, i) => labels[i >> 2] - 0.5 + stream.normal()),
  labels,
  classes: ['a', 'b'],
});
const programs = new ProgramCache({ threads: 1 });
const evaluator = new Evaluator(model, { threads: 1 });
afterAll(async () => {
  await programs.release();
  await evaluator.release();
});

/** The score after each fourth step; all of a run's numbers depend on how its weights moved. */
async function curveWith(optimizer: FineTuneOptimizer) {
  const shared = { model, weights: model.weights, train, test: train, batchSize: 16, seed: 1, programs, evaluator };
  const { curve } = await fineTune({ ...shared, steps: 12, learningRate: 0.5, giveUpBelow: -1, optimizer });
  return curve.map(({ score }) => score);
}

describe('the optimizer of an attack', () => {
  it.each<[string, FineTuneOptimizer]>([
    ['the limit of the gradient', { name: 'sgd', clipNorm: 1e-12 }],
    ['factors of the learning rate', { name: 'sgd', rateFactors: ['*=0'] }],
    ['its schedule', { name: 'sgd', schedule: { name: 'constant', options: { initialFactor: 0, initialSteps: 12 } } }],
    ['its options', { name: 'adam', options: { eps: 1e12 } }],
  ])('%s can keep the weights where they are', async (_, optimizer) => {
    const moved = await curveWith({ name: optimizer.name });
    expect(new Set(moved).size).toBeGreaterThan(1);
    expect(new Set(await curveWith(optimizer)).size).toBe(1);
  });

  it('is refused where it cannot do what it is told', async () => {
    await expect(curveWith({ name: 'sgd', rateFactors: ['head*=2'] })).rejects.toThrow('parameters that fit head*');
    await expect(curveWith({ name: 'sgd', options: { speed: 1 } })).rejects.toThrow(
      'sgd: unknown key "speed", expected only momentum',
    );
  });
});

describe('what a trial took', () => {
  // One layer, 4 to 2: its product and that of its gradient are 2 · 16 · 4 · 2 each; the rest of a step, on 16 · 2 logits, is less than that.
  const linear = initializeModel('mlp', { input_shape: [4], num_labels: 2, hidden_sizes: [] }, 3);
  const judge = new Evaluator(linear, {}, { programs });
  const run = (optimizer: FineTuneOptimizer, more: Partial<FineTuneOptions> = {}) => {
    const shared = { model: linear, weights: linear.weights, train, test: train, batchSize: 16, seed: 1, programs };
    const trial = { ...shared, evaluator: judge, steps: 12, learningRate: 0.5, giveUpBelow: -1, optimizer };
    return fineTune({ ...trial, ...more });
  };
  const products = 2 * (2 * 16 * 4 * 2);

  it('are the products of its steps, forward and backward, without what is measured on the way', async () => {
    const { spent } = await run({ name: 'sgd' });
    expect(spent).toMatchObject({ steps: 12, samples: 12 * 16 });
    expect(spent?.flops).toBeGreaterThan(12 * products);
    expect(spent?.flops).toBeLessThan(12 * 2 * products);
    expect((await run({ name: 'sgd' }, { evaluateEvery: 1 })).spent).toEqual(spent);
    expect((await run({ name: 'adamw' })).spent).toEqual(spent);
  });

  it('begin with what was done before, as steps and costs do', async () => {
    const before = { steps: 4, evaluations: 5, tried: 2, spent: { steps: 6, samples: 96, flops: 1000 } };
    const plain = await run({ name: 'sgd' }, { steps: 8 });
    const heard: number[] = [];
    const pauses = { at: [8], wait: async ({ step }: { step: number }) => heard.push(step) > 0 };
    const after = await run({ name: 'sgd' }, { before, pauses });
    expect(after.curve.map(({ step }) => step)).toEqual([4, 8, 12]);
    expect(after.curve.map(({ score }) => score)).toEqual(plain.curve.map(({ score }) => score));
    expect(heard).toEqual([8]);
    expect(after.spent).toEqual({ steps: 14, samples: 96 + 8 * 16, flops: 1000 + (plain.spent?.flops ?? 0) });
    const [own, both] = [
      await run({ name: 'sgd' }, { target: 0.6 }),
      await run({ name: 'sgd' }, { before, target: 0.6 }),
    ];
    expect([both.cost, both.costFlops]).toEqual([(own.cost ?? 0) + 4, (own.costFlops ?? 0) + 1000]);
    const atOnce = await run({ name: 'sgd' }, { before, target: 0, continueAfterTarget: true });
    expect(atOnce).toMatchObject({ cost: 4, costFlops: 1000 });
  });

  it('are as many examples whatever a batch holds: its steps are counted in batches of the budget', async () => {
    const said: number[] = [];
    const onSteps = (more: number) => said.push(more);
    const shared = { steps: 20, countedBatch: 8, evaluateEvery: 4, evaluationSpacing: 1, onSteps };
    const heard: number[] = [];
    const wait = async ({ step }: { step: number }) => heard.push(step) > 0;
    const three = await run({ name: 'sgd' }, { ...shared, batchSize: 24, pauses: { at: [2, 10], wait } });
    // Six steps of 24 examples are 18 of 8; a seventh would be beyond 20.
    expect(said.splice(0)).toEqual([3, 3, 3, 3, 3, 3]);
    expect(three.spent).toMatchObject({ steps: 6, samples: 144 });
    // 4, 8, 12, 16, 20, and 10, where others wait, at the last step that is not beyond each.
    expect(three.curve.map(({ step }) => step)).toEqual([0, 3, 6, 9, 12, 15, 18]);
    expect(three.evaluations).toBe(18);
    expect(heard.splice(0)).toEqual([2, 10]);
    const half = await run({ name: 'sgd' }, { ...shared, batchSize: 4 });
    expect(half.spent).toMatchObject({ steps: 40, samples: 160 });
    expect(said.reduce((sum, more) => sum + more)).toBe(20);
    expect(half.curve.map(({ step }) => step)).toEqual([0, 4, 8, 12, 16, 20]);
    const whole = await run({ name: 'sgd' }, { ...shared, batchSize: 8 });
    expect(whole.spent).toMatchObject({ steps: 20, samples: 160 });
    // In parts a batch has the same gradient, but for rounding: of plain layers.
    const parts = await run(
      { name: 'sgd' },
      { ...shared, batchSize: 24, accumulate: 3, pauses: { at: [2, 10], wait } },
    );
    expect(parts.spent?.samples).toBe(144);
    expect(parts.curve).toEqual(three.curve);
  });

  it('grow with what an optimizer asks for, and end where the run does', async () => {
    const [step, mezo] = [await run({ name: 'sgd' }), await run({ name: 'mezo' })];
    // Two forward passes, one product each, in the place of one forward and one backward.
    const [a, b] = [step.spent?.flops ?? 0, mezo.spent?.flops ?? 0];
    expect(b).toBeGreaterThan(12 * products);
    expect(b).not.toBe(a);
    const lbfgs = await run({ name: 'lbfgs', options: { lineSearch: 'strong-wolfe' } });
    expect((lbfgs.spent?.flops ?? 0) / a).toBeCloseTo(lbfgs.evaluations / 12, 1);
    const reached = await run({ name: 'sgd' }, { target: 0.6 });
    expect(reached).toMatchObject({ end: 'target', spent: { steps: reached.cost, samples: 16 * (reached.cost ?? 0) } });
    expect(reached.costFlops).toBe(reached.spent?.flops);
    const both = await run({ name: 'sgd' }, { target: 0.6, continueAfterTarget: true });
    expect([both.costFlops, both.spent]).toEqual([reached.costFlops, step.spent]);
  });
});
