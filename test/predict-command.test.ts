import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PredictionResult } from '../src/experiments/index.js';
import { initializeModel, type Model, saveModel } from '../src/models/index.js';
import { runCommand } from './support/run-command.js';

let root: string;
const config = { image_size: 16, channels: [2, 3], kernel_size: 3, hidden_sizes: [8, 6, 6], num_labels: 2 };

/** The same function with the first kernel ten times as large and the second a tenth: curvature rises, decisions stay. */
function rescaled(model: Model): Model {
  const factors: Record<string, number> = { 'conv1.weight': 10, 'conv1.bias': 10, 'conv2.weight': 0.1 };
  const weights = new Map(
    [...model.weights].map(([name, { shape, data }]) => [
      name,
      { shape, data: data.map((value) => value * (factors[name] ?? 1)) },
    ]),
  );
  return { ...model, weights };
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-predict-'));
  const model = initializeModel('cnn', config, 3);
  await saveModel(join(root, 'model'), model);
  await saveModel(join(root, 'scaled'), rescaled(model));
});
afterAll(() => rm(root, { recursive: true }));

const data = ['--data.name', 'digits', '--data.classes', '0,1', '--data.size', '16'];
const few = ['--examples', '24', '--batches', '2', '--threads', '1'];

it('predict foresees and measures what rescaling costs, and says the interval', async () => {
  const args = [
    'predict',
    'scaled',
    '--against',
    'model',
    ...data,
    ...few,
    '--target',
    '0.682',
    '--budget',
    '1000',
    '--check',
    '--json',
  ];
  const { status, stdout, stderr } = await runCommand(root, args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const found = JSON.parse(stdout) as PredictionResult;
  const { model, against, slowdown } = found;
  // The same function: the same losses, in the rounding of the weights.
  model.batches.forEach(({ loss, target }, draw) => {
    expect(loss).toBeCloseTo(against?.batches[draw].loss ?? Number.NaN, 6);
    expect(target).toBe(0.682);
  });
  const [own, other] = [model.rate.predicted, against?.rate.predicted];
  expect(own?.n).toBe(2);
  expect(own?.low).toBeLessThan(own?.value ?? 0);
  // The block of the second kernel is a hundred times what it was.
  expect((other?.value ?? 0) / (own?.value ?? 1)).toBeGreaterThan(3);
  expect(model.rate.measured?.value).toBeGreaterThan(0);
  expect(slowdown?.path?.value).toBeGreaterThan(1.1);
  expect((slowdown?.measured?.value ?? 0) / (slowdown?.path?.value ?? 1)).toBeGreaterThan(0.9);
  expect((slowdown?.measured?.value ?? 0) / (slowdown?.path?.value ?? 1)).toBeLessThan(1.1);
});

it('predict says in a table what it foresees, of AdamW too', async () => {
  const args = ['predict', 'model', ...data, ...few, '--method', 'adamw', '--learning-rate', '1e-3'];
  const { status, stdout } = await runCommand(root, args);
  expect(status).toBe(0);
  expect(stdout).toContain('largest stable learning rate');
  expect(stdout).toContain('steps to a loss of');
});

it('predict refuses a momentum that AdamW has not, and a model that is built otherwise', async () => {
  const both = await runCommand(root, ['predict', 'model', ...data, '--method', 'adamw', '--momentum', '0.9']);
  expect([both.status, both.stderr]).toEqual([2, expect.stringContaining('momentum: expected none')]);
  await saveModel(join(root, 'other'), initializeModel('cnn', { ...config, hidden_sizes: [8, 6, 4] }, 3));
  const other = await runCommand(root, ['predict', 'model', ...data, '--against', 'other']);
  expect([other.status, other.stderr]).toEqual([2, expect.stringContaining('expected a model that is built as')]);
});
