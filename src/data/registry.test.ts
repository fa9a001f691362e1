import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readX, shapeOf } from '../../test/support/examples.js';
import { sharedData, writeCifarFolder, writeIdxFolder, writeImageFolder } from '../../test/support/image-data.js';
import { type DataParts, type Dataset, dataSources, dataSpec, loadData } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-data-'));
  for (const name of ['mnist', 'fashion-mnist', 'kmnist']) await writeIdxFolder(join(root, name));
  await writeCifarFolder(join(root, 'cifar10'));
  await writeIdxFolder(join(root, 'idx'));
  await writeCifarFolder(join(root, 'cifar'));
  await writeImageFolder(join(root, 'images'));
});
afterAll(() => rm(root, { recursive: true }));

/** What each source must come to: the digits are real, the others are what this test writes. */
const facts: Record<string, { shape: number[]; sizes: number[]; classes: number }> = {
  digits: { shape: [1, 28, 28], sizes: [6800, 1200, 2000], classes: 10 },
  mnist: { shape: [1, 6, 6], sizes: [51, 9, 20], classes: 10 },
  'fashion-mnist': { shape: [1, 6, 6], sizes: [51, 9, 20], classes: 10 },
  kmnist: { shape: [1, 6, 6], sizes: [51, 9, 20], classes: 10 },
  cifar10: { shape: [3, 32, 32], sizes: [51, 9, 20], classes: 10 },
  idx: { shape: [1, 6, 6], sizes: [51, 9, 20], classes: 10 },
  cifar: { shape: [3, 32, 32], sizes: [51, 9, 20], classes: 10 },
  images: { shape: [3, 8, 8], sizes: [20, 4, 6], classes: 3 },
};

const pathOf = (name: string) => (dataSources.get(name).needsPath ? join(root, name) : undefined);
const specOf = (name: string, more: Record<string, unknown> = {}) =>
  dataSpec.parse({ name, path: pathOf(name), ...more });
const sizes = ({ train, validation, test }: DataParts) => [train.size, validation.size, test.size];
/** A short key of each example's input: comparing millions of numbers takes a test framework minutes. */
const keys = (dataset: Dataset) =>
  Array.from({ length: dataset.size }, (_, i) =>
    createHash('sha256')
      .update(readX(dataset, i, 1))
      .digest('base64'),
  );

const ofImages = dataSources.entries().flatMap(({ name, kind }) => (kind === 'images' ? name : []));

it('the table below holds every source of images, and a mistyped name is suggested', () => {
  expect(ofImages).toEqual(Object.keys(facts));
  expect(() => dataSources.get('digit')).toThrow('did you mean "digits"?');
});

describe.each(ofImages)('%s', (name) => {
  const { shape, sizes: expected, classes } = facts[name];

  it('has its parts, which share no image and are the same again', async () => {
    const parts = await loadData(specOf(name));
    expect(sizes(parts)).toEqual(expected);
    for (const part of [parts.train, parts.validation, parts.test]) {
      expect(shapeOf(part)).toEqual(shape);
      expect(part.classes).toHaveLength(classes);
      expect(part.labels.every((label) => label >= 0 && label < classes)).toBe(true);
      expect(part.examples.augmented).toBe(false);
    }
    const all = [parts.train, parts.validation, parts.test].flatMap(keys);
    expect(new Set(all).size).toBe(all.length);
    const again = await loadData(specOf(name));
    expect(keys(again.train)).toEqual(keys(parts.train));
    const other = await loadData(specOf(name, { splitSeed: 2 }));
    expect(keys(other.train).slice(0, 20)).not.toEqual(keys(parts.train).slice(0, 20));
  });

  it('classes and limits move no example to another part, and a smaller limit is a part of a larger one', async () => {
    const whole = await loadData(specOf(name));
    const some = await loadData(specOf(name, { classes: [2, 0], limit: 12, testLimit: 3 }));
    const fewer = await loadData(specOf(name, { classes: [2, 0], limit: 6, testLimit: 2 }));
    expect(some.test.size).toBe(3);
    expect(some.train.size).toBeLessThanOrEqual(10);
    expect(some.validation.size).toBeLessThanOrEqual(2);
    for (const part of ['train', 'validation', 'test'] as const) {
      const known = new Map(keys(whole[part]).map((key, i) => [key, whole[part].labels[i]]));
      const found = keys(some[part]).map((key) => known.get(key));
      expect(found).toEqual([...some[part].labels].map((label) => [2, 0][label]));
      expect(new Set(keys(some[part]))).toEqual(new Set([...keys(fewer[part]), ...keys(some[part])]));
    }
  });

  it('size, channels and normalization give the form; only training images are augmented', async () => {
    const form = { size: 9, interpolation: 'bicubic', channels: 3, mean: [0.5], std: [0.5], crop: 2, flip: true };
    const { train, validation, test } = await loadData(specOf(name, { ...form, limit: 20, testLimit: 5 }));
    for (const part of [train, validation, test]) {
      expect(shapeOf(part)).toEqual([3, 9, 9]);
      expect(readX(part).every((value) => value >= -1 && value <= 1)).toBe(true);
    }
    expect([train, validation, test].map(({ examples }) => examples.augmented)).toEqual([true, false, false]);
    const grey = await loadData(specOf(name, { channels: 1, limit: 20, testLimit: 5 }));
    expect(shapeOf(grey.test)).toEqual([1, ...shape.slice(1)]);
  });

  it('refuses numbers that do not fit the channels, and a folder that is not there', async () => {
    await expect(loadData(specOf(name, { mean: [0.5, 0.5], channels: 3 }))).rejects.toThrow(
      'data.mean: expected 3 numbers, one a channel, got 2',
    );
    await expect(loadData(specOf(name, { classes: [0, 99] }))).rejects.toThrow(
      /^data.classes: expected classes from 0 to \d+, got 99; /,
    );
    if (!dataSources.get(name).needsPath) return;
    await expect(loadData(specOf(name, { path: undefined }))).rejects.toThrow(
      `data.path: expected the folder of the files of ${name}, got none`,
    );
    await expect(loadData(specOf(name, { path: join(root, 'nothing') }))).rejects.toThrow(
      'nothing: expected a folder, found nothing',
    );
  });
});

/** Counts per class as the data folder's README gives them. */
const published: Record<string, { train: number[]; test: number[] }> = {
  mnist: {
    train: [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    test: [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
  },
  'fashion-mnist': {
    train: [2945, 3015, 2989, 3017, 2960, 3030, 3081, 3021, 2972, 2970],
    test: Array.from({ length: 10 }, () => 1000),
  },
  kmnist: { train: Array.from({ length: 10 }, () => 800), test: Array.from({ length: 10 }, () => 200) },
  cifar10: { train: Array.from({ length: 10 }, () => 2000), test: Array.from({ length: 10 }, () => 500) },
};

describe.skipIf(!existsSync(join(sharedData, 'mnist')))(
  'real data sets (skipped without the folder of WEIGHTLOCK_DATA)',
  () => {
    it.each(Object.entries(published))(
      '%s has the published counts and is normalized',
      async (name, { train, test }) => {
        const path = join(sharedData, name);
        const opened = await dataSources.get(name).open(path);
        const counts = (labels: Int32Array | undefined) =>
          opened.classes.map((_, label) => labels?.filter((found) => found === label).length);
        expect(counts(opened.train.labels)).toEqual(train);
        expect(counts(opened.test?.labels)).toEqual(test);
        const { train: some } = await loadData(dataSpec.parse({ name, path, limit: 3000, testLimit: 10 }));
        const values = readX(some);
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
        expect(Math.abs(mean)).toBeLessThan(0.06);
        expect(Math.abs(square - 1)).toBeLessThan(0.12);
      },
    );
  },
);
