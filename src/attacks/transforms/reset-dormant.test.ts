import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Dataset, dataSpec, loadData } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { cloneWeights, initializeModel, type StateDict } from '../../models/index.js';
import { dormantUnits, resetUnits } from './reset-dormant.js';

const config = { num_labels: 2, channels: [4, 6], hidden_sizes: [12, 10, 8] };
const model = initializeModel('cnn', config, 1);
const programs = new ProgramCache({ threads: 1 });
let digits: Dataset;
beforeAll(async () => {
  digits = (await loadData(dataSpec.parse({ classes: [0, 1], testLimit: 40 }))).test;
});
afterAll(() => programs.release());

const dataOf = (weights: StateDict, name: string) => weights.get(name)?.data ?? new Float32Array();

it('finds the units that give next to nothing, of convolutions and linear layers, and lets them learn', async () => {
  const found = async (weights: StateDict) =>
    (await dormantUnits({ model, programs }, weights, digits, 0.01)).map(({ units }) => units);
  const before = await found(model.weights);
  const planted = cloneWeights(model.weights);
  // Far below what any input reaches.
  dataOf(planted, 'conv2.bias')[3] = -1e4;
  dataOf(planted, 'fc2.bias')[7] = -1e4;
  const after = await found(planted);
  // Pairs: conv1, conv2, fc1, fc2, fc3.
  expect(after[1]).toEqual([...new Set([...before[1], 3])].sort());
  expect(after[3]).toContain(7);
  expect(before[1]).not.toContain(3);
  const fresh = initializeModel('cnn', config, 9).weights;
  const dormant = await dormantUnits({ model, programs }, planted, digits, 0.01);
  const reset = resetUnits(planted, fresh, dormant.slice(1, 2));
  const kernel = 4 * 25;
  expect(dataOf(reset, 'conv2.weight').subarray(3 * kernel, 4 * kernel)).toEqual(
    dataOf(fresh, 'conv2.weight').subarray(3 * kernel, 4 * kernel),
  );
  expect(dataOf(reset, 'conv2.bias')[3]).toBe(dataOf(fresh, 'conv2.bias')[3]);
  // 16 places of channel 3, in each of 12 rows of 6 channels.
  const read = dataOf(reset, 'fc1.weight');
  for (let row = 0; row < 12; row++) {
    expect([...read.subarray(row * 96 + 48, row * 96 + 64)].every((value) => value === 0)).toBe(true);
  }
  const others = [...reset].filter(([name]) => !['conv2.weight', 'conv2.bias', 'fc1.weight'].includes(name));
  for (const [name, { data }] of others) expect(data, name).toEqual(dataOf(planted, name));
  expect((await found(reset))[1]).not.toContain(3);
});
