import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { subset } from '../src/data/index.js';
import { ProgramCache } from '../src/engine/index.js';
import { lockContext, specDefOptions, specdef } from '../src/locks/index.js';
import { architectures, cloneWeights, initializeModel, type Model, parameterSet } from '../src/models/index.js';
import { tasks } from '../src/tasks/index.js';
import { adamw, createObjective, Evaluator, type Original, runSteps } from '../src/training/index.js';
import { largestDifference } from './support/compare.js';
import { countingTexts, nextToken, tinyLanguageModel } from './support/next-token.js';

const engine = { threads: 1 };
const lengths = [5, 3, 8, 4, 6, 7, 3, 5, 9, 4, 6, 8, 5, 7];
const texts = countingTexts(lengths);
let model: Model;
beforeAll(() => {
  // All that a new task and a new architecture need: one line each.
  tasks.register(nextToken);
  architectures.register(tinyLanguageModel);
  model = initializeModel('tiny-language-model', {}, 3);
});
const evaluators: Evaluator[] = [];
afterAll(() => Promise.all(evaluators.map((evaluator) => evaluator.release())));

function evaluatorOf(batchSize: number): Evaluator {
  const evaluator = new Evaluator(model, engine, { batchSize });
  evaluators.push(evaluator);
  return evaluator;
}

/** Loss and gradients of the only batch of some texts. */
async function gradientsOf(positions: number[]) {
  const dataset = subset(texts, positions);
  const objective = await createObjective({ model, dataset, batchSize: positions.length, seed: 1, engine });
  const { loss, gradients } = await objective.compute(parameterSet(model.weights), 0);
  await objective.release();
  return { loss, gradients };
}

describe('a task on texts of different lengths', () => {
  it('is trained in batches of every length, each with a program of its own', async () => {
    const params = parameterSet(cloneWeights(model.weights));
    const before = await evaluatorOf(4).evaluate(params, texts);
    const objective = await createObjective({ model, dataset: texts, batchSize: 3, seed: 2, engine });
    await runSteps({
      params,
      compute: (current, step) => objective.compute(current, step),
      optimizer: adamw(),
      learningRate: 0.05,
      steps: 60,
    });
    await objective.release();
    const after = await evaluatorOf(4).evaluate(params, texts);
    expect(before.metrics.right).toBeLessThan(0.5);
    expect(after.metrics.right).toBeGreaterThan(0.95);
    expect(after.n).toBe(texts.size);
  });

  it('does not see padding: loss and gradients are those of the texts one by one, by their tokens', async () => {
    const positions = [1, 2, 4];
    const together = await gradientsOf(positions);
    const alone = await Promise.all(positions.map((position) => gradientsOf([position])));
    const tokens = positions.map((position) => lengths[position] - 1);
    const total = tokens.reduce((a, b) => a + b);
    const mean = (values: readonly number[]) => values.reduce((sum, value, i) => sum + (value * tokens[i]) / total, 0);
    expect(together.loss).toBeCloseTo(mean(alone.map(({ loss }) => loss)), 5);
    for (const [name, gradient] of together.gradients) {
      const expected = Array.from(gradient, (_, i) =>
        mean(alone.map(({ gradients }) => gradients.get(name)?.[i] ?? 0)),
      );
      expect(largestDifference(gradient, expected).error, name).toBeLessThan(1e-5);
    }
    const evaluate = async (batchSize: number) => evaluatorOf(batchSize).evaluate(parameterSet(model.weights), texts);
    const [one, all] = [await evaluate(1), await evaluate(14)];
    expect(all.metrics.right).toBe(one.metrics.right);
    expect(all.metrics.loss).toBeCloseTo(one.metrics.loss ?? Number.NaN, 5);
  });

  it('is computed in parts as it is at once, by the tokens of each part', async () => {
    const compute = async (accumulate: number) => {
      const objective = await createObjective({ model, dataset: texts, batchSize: 7, accumulate, seed: 1, engine });
      const { loss, gradients } = await objective.compute(parameterSet(model.weights), 2);
      await objective.release();
      return { loss, gradients };
    };
    const [whole, parts] = [await compute(1), await compute(3)];
    expect(parts.loss).toBeCloseTo(whole.loss, 5);
    for (const [name, gradient] of whole.gradients) {
      expect(largestDifference(parts.gradients.get(name) ?? [], gradient).error, name).toBeLessThan(1e-5);
    }
  });

  it('is compared with an original whose outputs were kept, or are computed again, alike', async () => {
    // Texts of one length, so that their outputs can be kept.
    const even = countingTexts([5, 5, 5, 5, 5, 5]);
    const evaluator = evaluatorOf(4);
    const weights = parameterSet(initializeModel('tiny-language-model', {}, 9).weights);
    const params = parameterSet(model.weights);
    const outputs = await evaluator.outputs(weights, even);
    expect(await evaluator.original(weights, even)).toEqual({ outputs });
    expect(await evaluator.original(weights, texts)).toEqual({ weights, model: evaluator.model });
    const measured = await evaluator.evaluate(params, even, { original: { outputs } });
    expect(measured.metrics.far).toBeGreaterThan(0);
    expect(await evaluator.evaluate(params, even, { original: { weights } })).toEqual(measured);
    const loss = async (reference: Original) => {
      const options = { model, dataset: even, batchSize: 4, seed: 1, loss: { task: 0, divergence: 1 }, engine };
      const objective = await createObjective({ ...options, reference });
      const { loss: found } = await objective.compute(params, 3);
      await objective.release();
      return found;
    };
    expect(await loss({ weights })).toBe(await loss({ outputs }));
  });

  it('gives the same where its programs do not all stay compiled', async () => {
    const losses = async (limit: number) => {
      const programs = new ProgramCache(engine, { limit });
      const objective = await createObjective({ model, dataset: texts, batchSize: 2, seed: 4, programs });
      const params = parameterSet(cloneWeights(model.weights));
      const found: number[] = [];
      await runSteps({
        params,
        compute: (current, step) => objective.compute(current, step),
        optimizer: adamw(),
        learningRate: 0.05,
        steps: 12,
        afterStep: ({ loss }) => void found.push(loss),
      });
      await programs.release();
      return found;
    };
    expect(await losses(1)).toEqual(await losses(100));
  });

  it('can be locked, with its own score and divergence as the budget', async () => {
    const train = countingTexts([6, 6, 6, 6]);
    const weights = cloneWeights(model.weights);
    const options = specDefOptions.parse({ steps: 4, evaluateEvery: 1, maxDrop: 1, maxKl: 10, batchSize: 2 });
    const data = { train, validation: train };
    const context = lockContext({ model: { ...model, weights }, data, seed: 1 }, { engine });
    const locked = await specdef.run(context, options);
    await context.release();
    expect(locked).toMatchObject({ steps: 4, stoppedByBudget: false });
    expect(locked.before.metrics.far).toBe(0);
    expect(locked.after.metrics.far).toBeGreaterThan(0);
    expect(locked.after.metrics).not.toHaveProperty('accuracy');
  });
});
