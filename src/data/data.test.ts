import { beforeAll, describe, expect, it } from 'vitest';
import { readX } from '../../test/support/examples.js';
import { batchSpecs } from '../nn/index.js';
import { InputError } from '../registry/index.js';
import {
  allocateBatch,
  BatchOrder,
  batchOrder,
  dataSpec,
  type Examples,
  fewShot,
  floatDataset,
  gatherBatch,
  type LabelledDataset,
  layoutAt,
  loadData,
  loadDigits,
  selectClasses,
  splitTrainTest,
  subset,
} from './index.js';

/** A data set whose inputs tell which example they are. */
function numbered(size: number, classes = 3): LabelledDataset {
  return floatDataset({
    name: 'numbered',
    shape: [2],
    inputs: Float32Array.from({ length: 2 * size }, (_, i) => Math.floor(i / 2)),
    labels: Int32Array.from({ length: size }, (_, i) => i % classes),
    classes: Array.from({ length: classes }, (_, label) => `class ${label}`),
  });
}

describe('subsets', () => {
  it('selectClasses renumbers the labels in the given order and keeps inputs with them', () => {
    const chosen = selectClasses(numbered(9), [2, 0]);
    expect([...chosen.labels]).toEqual([1, 0, 1, 0, 1, 0]);
    expect([...readX(chosen)].filter((_, i) => i % 2 === 0)).toEqual([0, 2, 3, 5, 6, 8]);
    expect(chosen.classes).toEqual(['class 2', 'class 0']);
    expect(() => selectClasses(numbered(3), [3])).toThrow(
      new InputError('numbered: expected classes from 0 to 2, got 3'),
    );
    expect(() => selectClasses(numbered(3), [0, 1, 0])).toThrow('numbered: expected each class once, got 0 twice');
  });

  it('fewShot takes so many of each class, all where there are fewer, and others by another seed', () => {
    const counts = (dataset: LabelledDataset) =>
      [0, 1, 2].map((label) => dataset.labels.filter((found) => found === label).length);
    expect(counts(fewShot(numbered(30), 4, 1))).toEqual([4, 4, 4]);
    expect(counts(fewShot(numbered(7), 4, 1))).toEqual([3, 2, 2]);
    const drawn = (seed: number) => [...readX(fewShot(numbered(300), 4, seed))].join();
    expect(drawn(1)).toBe(drawn(1));
    expect(drawn(1)).not.toBe(drawn(2));
  });

  it('splitTrainTest parts every example exactly once', () => {
    const { train, test } = splitTrainTest(numbered(101), 0.2, 5);
    expect([train.size, test.size]).toEqual([81, 20]);
    const ids = [...readX(train), ...readX(test)].filter((_, i) => i % 2 === 0).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: 101 }, (_, i) => i));
    expect(readX(splitTrainTest(numbered(101), 0.2, 6).test)).not.toEqual(readX(test));
  });

  it('subset shares the inputs and copies the labels', () => {
    const original = numbered(4);
    const part = subset(subset(original, [3, 1, 2]), [1, 2]);
    expect(part.examples).toBe(original.examples);
    expect([...readX(part)]).toEqual([1, 1, 2, 2]);
    part.labels[0] = 9;
    expect([...original.labels]).toEqual([0, 1, 2, 0]);
  });

  it('floatDataset refuses inputs that are not as many as the labels', () => {
    const facts = { name: 'odd', shape: [2], labels: new Int32Array(3), classes: ['a'] };
    expect(() => floatDataset({ ...facts, inputs: new Float32Array(7) })).toThrow(
      new InputError('odd: expected inputs of shape [3,2], got 7 numbers'),
    );
  });
});

describe('BatchOrder', () => {
  it('shows every example once an epoch, in batches that may reach into the next', () => {
    const order = new BatchOrder(10, 4, 3);
    expect(order.stepsPerEpoch).toBe(3);
    const seen: number[] = [];
    const out = new Uint32Array(4);
    for (let step = 0; step < 5; step++) {
      order.positions(step, out);
      seen.push(...out);
    }
    for (const epoch of [seen.slice(0, 10), seen.slice(10, 20)]) {
      expect(epoch.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    expect(seen.slice(0, 10)).not.toEqual(seen.slice(10, 20));
  });

  it('depends on seed and step alone, not on what was asked before', () => {
    const at = (order: BatchOrder, step: number) => {
      const out = new Uint32Array(4);
      order.positions(step, out);
      return [...out];
    };
    const walked = new BatchOrder(10, 4, 3);
    for (let step = 0; step < 7; step++) at(walked, step);
    expect(at(walked, 7)).toEqual(at(new BatchOrder(10, 4, 3), 7));
    expect(at(walked, 2)).toEqual(at(new BatchOrder(10, 4, 3), 2));
    expect(at(new BatchOrder(10, 4, 4), 7)).not.toEqual(at(walked, 7));
  });

  it('of examples that differ in length has batches of like lengths, all examples equally often', () => {
    const size = 300;
    const lengths = Uint32Array.from({ length: size }, (_, i) => 1 + ((i * 7919) % 97));
    const plain = numbered(size);
    const dataset = { ...plain, examples: Object.assign(Object.create(plain.examples), { lengths }) as Examples };
    const order = batchOrder(dataset, 10, 5);
    const batches = Array.from({ length: 60 }, (_, step) => {
      const out = new Uint32Array(10);
      order.positions(step, out);
      return [...out];
    });
    const counts = new Array(size).fill(0);
    for (const position of batches.flat()) counts[position]++;
    expect(new Set(counts)).toEqual(new Set([2]));
    const spread = (batch: number[]) => {
      const of = batch.map((position) => lengths[position]);
      return Math.max(...of) - Math.min(...of);
    };
    expect(Math.max(...batches.map(spread))).toBeLessThan(12);
    const longest = batches.slice(0, 30).map((batch) => Math.max(...batch.map((position) => lengths[position])));
    expect(longest).not.toEqual(longest.toSorted((a, b) => a - b));
    const alone = new Uint32Array(10);
    batchOrder(dataset, 10, 5).positions(41, alone);
    expect([...alone]).toEqual(batches[41]);
  });

  it('gatherBatch copies the inputs of the positions', () => {
    const dataset = numbered(6);
    const positions = Uint32Array.of(5, 0, 4);
    const layout = layoutAt(dataset, positions);
    const specs = batchSpecs(layout, 3);
    expect(specs).toEqual({ x: { shape: [3, 2], dtype: 'float32' } });
    const batch = allocateBatch(specs);
    gatherBatch(dataset, positions, { batch, layout });
    expect([...(batch.x as Float32Array)]).toEqual([5, 5, 0, 0, 4, 4]);
  });
});

describe('digits', () => {
  let digits: LabelledDataset;
  beforeAll(async () => {
    digits = await loadDigits();
  });

  it('are ten thousand images of ten classes, normalized', () => {
    expect(digits.size).toBe(10_000);
    const inputs = readX(digits);
    expect(inputs.length).toBe(digits.size * 784);
    expect(new Set(digits.labels)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    const mean = inputs.reduce((total, value) => total + value, 0) / inputs.length;
    const square = inputs.reduce((total, value) => total + value * value, 0) / inputs.length;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(square - 1)).toBeLessThan(0.05);
  });

  it('train and test share no image, not even a copy', async () => {
    const { train, test } = splitTrainTest(digits, 0.2, 1);
    const keys = (dataset: LabelledDataset) =>
      Array.from({ length: dataset.size }, (_, i) => Buffer.from(readX(dataset, i, 1).buffer).toString('latin1'));
    const trained = new Set(keys(train));
    expect(keys(test).filter((key) => trained.has(key))).toEqual([]);
    expect(trained.size).toBe(train.size);
  });

  it('are all trained on where none is held back, and stand in for validation', async () => {
    const { train, validation, test } = await loadData(dataSpec.parse({ validationShare: 0 }));
    expect([train.size, test.size]).toEqual([8000, 2000]);
    expect(validation.labels).toEqual(train.labels);
    expect(readX(validation, 0, 9)).toEqual(readX(train, 0, 9));
    const held = await loadData(dataSpec.parse({ validationShare: 0.1, limit: 50 }));
    expect([held.train.size, held.validation.size]).toEqual([45, 5]);
  });

  it('load by a spec', async () => {
    const spec = dataSpec.parse({ classes: [7, 8] });
    const { train, test } = await loadData(spec);
    expect(train.classes).toEqual(['7', '8']);
    expect(new Set(test.labels)).toEqual(new Set([0, 1]));
    expect((await loadData({ ...spec, validationShare: 0, limit: 50 })).train.size).toBe(50);
    await expect(loadData({ ...spec, classes: [1, 10] })).rejects.toThrow(
      'data.classes: expected classes from 0 to 9, got 10; digits has 0, 1, 2, 3',
    );
  });
});
