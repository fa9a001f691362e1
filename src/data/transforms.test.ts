import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readX, shapeOf } from '../../test/support/examples.js';
import {
  cifarFile,
  cyclicLabels,
  idxFile,
  pixelsOf,
  write,
  writeIdxFolder,
  writeImageFolder,
} from '../../test/support/image-data.js';
import { encodePng } from '../formats/index.js';
import { RandomStream } from '../linalg/index.js';
import { type Dataset, dataSources, dataSpec, loadData } from './index.js';
import { createResizer } from './resize.js';

/** Shows bytes as they are. */
const plain = { mean: [0], std: [1 / 255] };
const bytesOf = (values: Float32Array) => [...values].map(Math.round);

let root: string;
const at = (...names: string[]) => join(root, ...names);
const load = (name: string, options: Record<string, unknown> = {}) =>
  loadData(dataSpec.parse({ name, path: at(name), ...options }));
/** Two training images and two test images of one pixel value each. */
const constant = (values: readonly number[], plane: number) =>
  Uint8Array.from({ length: values.length * plane }, (_, i) => values[Math.floor(i / plane)]);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-transforms-'));
  await writeIdxFolder(at('mnist'));
  await writeImageFolder(at('images'));
  for (const name of ['mnist', 'fashion-mnist', 'kmnist']) {
    for (const part of ['train', 't10k']) {
      await write(at('extremes', name, `${part}-images-idx3-ubyte`), idxFile([4, 2, 2], constant([0, 255, 0, 255], 4)));
      await write(at('extremes', name, `${part}-labels-idx1-ubyte`), idxFile([4], Uint8Array.of(0, 1, 0, 1)));
    }
  }
  for (const file of ['data_batch_1.bin', 'test_batch.bin']) {
    await write(at('extremes', 'cifar10', file), cifarFile(cyclicLabels(4, 2), constant([0, 255, 0, 255], 3072)));
  }
  for (const [name, rgb] of Object.entries({ black: [0, 0, 0], white: [255, 255, 255] })) {
    for (let i = 0; i < 10; i++) await solid(at('extremes', 'images', name, `${i}.png`), rgb);
  }
  for (const [name, rgb] of Object.entries({ blue: [0, 0, 255], green: [0, 255, 0], red: [255, 0, 0] })) {
    for (let i = 0; i < 6; i++) await solid(at('colours', name, `${i}.png`), rgb);
  }
});
afterAll(() => rm(root, { recursive: true }));

/** Writes a PNG of 2×2 pixels of one colour. */
async function solid(path: string, rgb: readonly number[]): Promise<void> {
  const pixels = Uint8Array.from({ length: 12 }, (_, i) => rgb[Math.floor(i / 4)]);
  await write(path, await encodePng({ pixels, channels: 3, height: 2, width: 2 }));
}

describe('every key of a data spec does what its name says', () => {
  it('testShare, validationShare, limit, testLimit: how many examples a part has', async () => {
    const sizes = async (name: string, options: Record<string, unknown>) => {
      const { train, validation, test } = await load(name, options);
      return [train.size, validation.size, test.size];
    };
    // Of 30 images without a split of their own; of 60 and 20 with one.
    expect(await sizes('images', { testShare: 0.5, validationShare: 0.2 })).toEqual([12, 3, 15]);
    expect(await sizes('images', { testShare: 0.1, validationShare: 0.2 })).toEqual([22, 5, 3]);
    expect(await sizes('mnist', { validationShare: 0.2 })).toEqual([48, 12, 20]);
    await expect(sizes('mnist', { testShare: 0.5 })).rejects.toThrow('data.testShare: expected none');
    expect(await sizes('mnist', { limit: 20, validationShare: 0.25 })).toEqual([15, 5, 20]);
    expect(await sizes('mnist', { testLimit: 7 })).toEqual([51, 9, 7]);
  });

  it('classes: those alone, renumbered in the order given', async () => {
    const { test } = await load('mnist', { classes: [7, 3], ...plain });
    expect(test.classes).toEqual(['7', '3']);
    expect([...test.labels].sort()).toEqual([0, 0, 1, 1]);
    // Test image n is number 60 + n of all, of class n % 10.
    const seven = bytesOf(readX(test, test.labels.indexOf(0), 1));
    expect([67, 77].map((n) => [...pixelsOf(1, 36, n)].join())).toContain(seven.join());
  });

  it.each(['bilinear', 'bicubic'] as const)("size and interpolation: Pillow's %s", async (interpolation) => {
    const { train, test } = await load('mnist', { size: 9, interpolation, ...plain });
    const resize = createResizer({ from: [6, 6], to: [9, 9], interpolation });
    const expected = new Uint8Array(81);
    resize(pixelsOf(1, 36, 60 + test.indices[3]), 0, expected, 0);
    expect(bytesOf(readX(test, 3, 1))).toEqual([...expected]);
    expect(shapeOf(train)).toEqual([1, 9, 9]);
  });

  it("channels: grey is repeated, colour becomes Pillow's grey", async () => {
    const { test } = await load('mnist', { channels: 3, ...plain });
    const [red, green, blue] = [0, 1, 2].map((c) => bytesOf(readX(test, 0, 1)).slice(36 * c, 36 * (c + 1)));
    expect(red).toEqual([...pixelsOf(1, 36, 60)]);
    expect([green, blue]).toEqual([red, red]);
    const grey = await load('images', { path: at('colours'), channels: 1, ...plain });
    expect(shapeOf(grey.train)).toEqual([1, 2, 2]);
    // Image.new('RGB', (2, 2), 'blue' | 'lime' | 'red').convert('L').
    const values = Array.from(grey.train.labels, (label, i) => [label, ...bytesOf(readX(grey.train, i, 1))].join());
    expect([...new Set(values)].sort()).toEqual(['0,29,29,29,29', '1,150,150,150,150', '2,76,76,76,76']);
  });

  it('mean and std: of values 0 to 1, one for all channels or one each', async () => {
    const shown = async (mean: number[], std: number[]) => {
      const { train } = await load('images', { path: at('extremes', 'images'), mean, std });
      const white = train.labels.indexOf(1);
      return [0, 4, 8].map((i) => Math.fround(readX(train, white, 1)[i]));
    };
    expect(await shown([0.5], [0.25])).toEqual([2, 2, 2]);
    expect(await shown([0.5, 0, 0.75], [1, 0.5, 0.5])).toEqual([0.5, 2, 0.5]);
    expect(await shown([0, 0.5, 0], [0.5])).toEqual([2, 1, 2]);
  });

  it('crop: windows of the padded image and no mirrored ones, of training images alone', async () => {
    const { train, validation, test } = await load('mnist', { crop: 1, ...plain });
    expect(seen(train, 300).size).toBe(9);
    const mirrored = bytesOf(readX(train, 0, 1)).flatMap((_, i, all) => all[6 * Math.floor(i / 6) + 5 - (i % 6)]);
    expect([...seen(train, 300).keys()]).not.toContain(mirrored.join());
    for (const part of [validation, test]) {
      expect([...seen(part, 20).keys()]).toEqual([bytesOf(readX(part, 0, 1)).join()]);
    }
  });

  it('flip: every other training image is mirrored left to right, and no other', async () => {
    const { train, validation, test } = await load('mnist', { flip: true, ...plain });
    const own = bytesOf(readX(train, 0, 1));
    const mirrored = own.map((_, i) => own[6 * Math.floor(i / 6) + 5 - (i % 6)]);
    const counts = seen(train, 400);
    expect([...counts.keys()].sort()).toEqual([own.join(), mirrored.join()].sort());
    // Four standard deviations.
    expect(Math.abs((counts.get(mirrored.join()) ?? 0) - 200)).toBeLessThan(40);
    for (const part of [validation, test]) expect(seen(part, 20).size).toBe(1);
  });
});

/** What training sees of a data set's first example, and how often. */
function seen(dataset: Dataset, draws: number): Map<string, number> {
  const counts = new Map<string, number>();
  const out = new Float32Array(36);
  for (let draw = 0; draw < draws; draw++) {
    dataset.examples.read(
      dataset.indices[0],
      { batch: { x: out }, row: 0, layout: {} },
      new RandomStream(draw, 'test'),
    );
    const key = bytesOf(out).join();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** What black and white become, and the first and last class, as the data sets' publishers and torchvision's examples have them. */
const published: Record<string, { black: number[]; white: number[]; classes: [string, string] }> = {
  digits: { black: [-0.4242], white: [2.8215], classes: ['0', '9'] },
  mnist: { black: [-0.4242], white: [2.8215], classes: ['0', '9'] },
  'fashion-mnist': { black: [-0.8102], white: [2.0227], classes: ['T-shirt/top', 'Ankle boot'] },
  kmnist: { black: [-0.5507], white: [2.3204], classes: ['o', 'wo'] },
  cifar10: { black: [-1.9895, -1.9803, -1.7068], white: [2.0591, 2.1265, 2.1158], classes: ['airplane', 'truck'] },
  images: { black: [-2.1179, -2.0357, -1.8044], white: [2.2489, 2.4286, 2.64], classes: ['black', 'white'] },
};

describe.each(Object.entries(published))('%s', (name, { black, white, classes }) => {
  it('is normalized as usual, and its classes have their names', async () => {
    const { train } = await load(name, { path: name === 'digits' ? undefined : at('extremes', name) });
    const plane = shapeOf(train)[1] * shapeOf(train)[2];
    const inputs = readX(train, 0, Math.min(100, train.size));
    const extremes = (pick: (...values: number[]) => number) =>
      black.map((_, c) => pick(...inputs.filter((_, i) => Math.floor(i / plane) % black.length === c)));
    extremes(Math.min).forEach((value, c) => {
      expect(value).toBeCloseTo(black[c], 4);
    });
    extremes(Math.max).forEach((value, c) => {
      expect(value).toBeCloseTo(white[c], 4);
    });
    expect([train.classes[0], train.classes.at(-1)]).toEqual(classes);
  });
});

it('every data set of images with a usual normalization stands in the table above', () => {
  // The generic sources take theirs from the training images; registry.test.ts compares those with NumPy's.
  const generic = ['idx', 'cifar'];
  expect(
    dataSources
      .entries()
      .flatMap(({ name, kind }) => (kind === 'images' && !generic.includes(name) ? name : []))
      .toSorted(),
  ).toEqual(Object.keys(published).toSorted());
});
