import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AttackRunner, type AttackTask, attacks } from '../src/attacks/index.js';
import { dataSpec } from '../src/data/index.js';
import { exactSingularValues } from '../src/linalg/index.js';
import { specDefOptions, specdef } from '../src/locks/index.js';
import { type Model, saveModel } from '../src/models/index.js';
import { contextOn, type DigitModel, digitModel } from './support/locked-digits.js';

/** What the lock raises, and the attacker clips. */
const topK = 2;
let root: string;
let digits: DigitModel;
let sigma: { before: number; after: number };
const runner = new AttackRunner({ threads: 1 });

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-heal-on-lock-'));
  digits = await digitModel('mlp', { hidden_sizes: [24, 16] });
  const context = contextOn(digits);
  const options = { topK, alpha: 0.3, steps: 300, batchSize: 32, maxDrop: 1, maxKl: null, lead: { share: 0 } };
  await specdef.run(context, specDefOptions.parse(options));
  await context.release();
  sigma = { before: largest(digits.model), after: largest({ ...digits.model, weights: context.weights }) };
  await saveModel(join(root, 'unlocked'), digits.model);
  await saveModel(join(root, 'locked'), { ...digits.model, weights: context.weights });
});
afterAll(async () => {
  await runner.release();
  await rm(root, { recursive: true, force: true });
});

/** σ1 of the first layer. */
function largest({ weights }: Model): number {
  const { shape, data } = weights.get('fc1.weight') ?? { shape: [0, 0], data: new Float32Array() };
  return exactSingularValues(data, shape[0], shape[1])[0];
}

/** What an attack of 80 steps on digits 3 to 5 comes to: the score that its transforms leave, the last one, its own steps. */
async function attacked(attack: string, start: 'unlocked' | 'locked') {
  const options: Record<string, Record<string, unknown>> = {
    clip: { topK, lead: { include: [] } },
    reset: { include: ['fc3*'] },
  };
  const steps = attacks.get(attack).transforms.map(({ name }) => ({ name, options: options[name] ?? {} }));
  const task: AttackTask = {
    ...{ id: `${attack} ${start}`, start: { kind: 'model', path: join(root, start) }, transforms: steps },
    ...{ optimizer: { name: 'adamw' }, data: dataSpec.parse({ classes: [3, 4, 5], testLimit: 300 }) },
    ...{ retain: dataSpec.parse({ classes: [0, 1, 2] }), steps: 80, batchSize: 32, giveUpBelow: -1 },
    budget: { decades: [-2], refine: false, searchSeeds: [5], seeds: [1, 2] },
  };
  const { trials } = await runner.run(task);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    first: mean(trials.map(({ curve }) => curve[0].score)),
    score: mean(trials.map(({ score }) => score)),
    own: 80 - (trials[0].before?.steps ?? 0),
  };
}

describe('attacks that heal first', () => {
  it('are tried on a lock that raised what they clip', () => {
    expect(sigma.after).toBeGreaterThan(3 * sigma.before);
  });

  // The released models answer with other digits at first; what healing leaves of the budget is enough to learn these.
  it.each(['heal', 'clip-heal', 'clip-reset-heal', 'reset-heal'])('%s learns, unlocked and locked', async (attack) => {
    for (const start of ['unlocked', 'locked'] as const) {
      const found = await attacked(attack, start);
      expect(found.own).toBeLessThan(80);
      expect(found.first, start).toBeLessThan(0.5);
      expect(found.score, start).toBeGreaterThan(0.9);
    }
  });
});
