import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DataParts, dataSpec, loadData } from '../data/index.js';
import { ProgramCache } from '../engine/index.js';
import { initializeModel } from '../models/index.js';
import { Evaluator, optimizers } from '../training/index.js';
import { fineTune } from './index.js';

const model = initializeModel('cnn', { num_labels: 3, channels: [4, 8], hidden_sizes: [32, 24, 16] }, 5);
const programs = new ProgramCache({ threads: 1 });
const evaluator = new Evaluator(model, { threads: 1 });
let data: DataParts;
beforeAll(async () => {
  data = await loadData(dataSpec.parse({ classes: [0, 1, 2] }));
});
afterAll(async () => {
  await Promise.all([programs.release(), evaluator.release()]);
});

/** Steps and score to reach; guessing gives 0.37. */
const usual = { steps: 100, target: 0.85 };
const others: Record<string, typeof usual | undefined> = {
  // A step of MeZO knows one slope.
  mezo: { steps: 800, target: 0.55 },
};

/** Learns at 3e-2 in attacks.test.ts, and at no power of ten. */
const elsewhere = ['psgd-kron'];

describe('an attacker who tries the rates of an optimizer, likely ones first, learns digits with', () => {
  it.each(optimizers.entries().filter(({ name }) => !elsewhere.includes(name)))(
    '$name',
    async ({ name, search: { decades, options } }) => {
      const { steps, target } = others[name] ?? usual;
      const tried: Record<number, number> = {};
      for (const decade of decades) {
        const { score } = await fineTune({
          ...{ model, weights: model.weights, train: data.train, test: data.test, programs, evaluator },
          optimizer: { name, options },
          learningRate: 10 ** decade,
          steps,
          batchSize: 32,
          seed: 1,
          target,
        });
        tried[decade] = score;
        if (score >= target) break;
      }
      expect(Math.max(...Object.values(tried)), JSON.stringify(tried)).toBeGreaterThanOrEqual(target);
      expect(Object.keys(tried).length, JSON.stringify(tried)).toBeLessThanOrEqual(3);
    },
  );
});
