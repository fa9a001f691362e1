import { describe, expect, it } from 'vitest';
import { createDataset, TextExamples } from '../../data/index.js';
import { cloneWeights, initializeModel } from '../../models/index.js';
import { type LockStepReport, lockContext, specDefOptions, specdef } from '../index.js';

const size = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 24 };
const keys = { ...size, vocab_size: 32, architectures: ['LlamaForCausalLM'], initializer_range: 0.5 };
const model = initializeModel('llama', keys, 1);
const encodings = [9, 4, 12, 7].map((length, text) => {
  const ids = Array.from({ length }, (_, at) => 1 + ((7 * text + 5 * at) % 31));
  return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
});
const facts = { name: 'texts', labels: new Int32Array(encodings.length), classes: [] };
const dataset = createDataset(new TextExamples(encodings, { padId: 0 }), facts);

/** The steps of a short lock. */
async function locked(retain: object): Promise<LockStepReport[]> {
  const steps: LockStepReport[] = [];
  const context = lockContext(
    {
      model: { ...model, weights: cloneWeights(model.weights) },
      data: { train: dataset, validation: dataset },
      seed: 1,
    },
    { engine: { threads: 1 }, onStep: (report) => void steps.push(report) },
  );
  const budget = { utilityFloor: 0, maxKl: null, evaluateEvery: 6 };
  const course = { optimizer: 'sgd', learningRate: 0.1, steps: 6, batchSize: 4 };
  const options = { ...budget, ...course, alpha: 0.9, retain };
  await specdef.run(context, specDefOptions.parse(options));
  await context.release();
  return steps;
}

describe('a lock that keeps the most likely answers of the original', () => {
  it('begins without loss, and stays nearer to that of all answers the more it keeps', async () => {
    const all = await locked({ kl: 1 });
    const [few, many] = [await locked({ kl: 1, klTopK: 2 }), await locked({ kl: 1, klTopK: 28 })];
    for (const [first] of [all, few, many]) expect(Math.abs(Number(first.retainLoss))).toBeLessThan(1e-6);
    const lastOf = (steps: LockStepReport[]) => Number(steps.at(-1)?.retainLoss);
    expect(lastOf(all)).toBeGreaterThan(1e-4);
    expect(Math.abs(lastOf(many) - lastOf(all))).toBeLessThan(0.1 * lastOf(all));
    expect(Math.abs(lastOf(many) - lastOf(all))).toBeLessThan(Math.abs(lastOf(few) - lastOf(all)));
  });

  it('tells the tokens of each step, padding apart', async () => {
    const steps = await locked({ kl: 1, klTopK: 2 });
    expect(steps.map(({ tokens }) => tokens)).toEqual(Array(6).fill(9 + 4 + 12 + 7));
  });

  it('is refused where no divergence is computed', async () => {
    await expect(locked({ task: 1, kl: 0, klTopK: 2 })).rejects.toThrow(
      'retain.klTopK: expected a weight retain.kl of the KL divergence beside it, got 0',
    );
  });
});
