import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readX, shapeOf } from '../../test/support/examples.js';
import {
  cyclicLabels,
  idxFile,
  pixelsOf,
  write,
  writeCifarFolder,
  writeIdxFolder,
  writeImageFolder,
} from '../../test/support/image-data.js';
import { encodePng } from '../formats/index.js';
import { dataSpec, describeData, findData, loadData, sourceAt } from './index.js';

let root: string;
const at = (...names: string[]) => join(root, ...names);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-sources-'));
});
afterAll(() => rm(root, { recursive: true }));

const load = (path: string, more: Record<string, unknown> = {}) => loadData(dataSpec.parse({ path, ...more }));
const described = async (path: string) => describeData((await findData(path))[0]);
const png = (channels: 1 | 3, side: number, value: number) =>
  encodePng({
    pixels: new Uint8Array(channels * side * side).fill(value),
    channels,
    height: side,
    width: side,
  });

/** A set under EMNIST's names, its labels from 1. */
async function writeLetters(folder: string, prefix: string, { test = true, classes = 4 } = {}): Promise<void> {
  for (const [split, count] of [['train', 40], ...(test ? [['test', 8] as const] : [])] as const) {
    const labels = cyclicLabels(count, classes).map((label) => label + 1);
    const images = idxFile([count, 5, 7], pixelsOf(count, 35, split === 'train' ? 0 : 40));
    await write(join(folder, `${prefix}${split}-images-idx3-ubyte.gz`), gzipSync(images));
    await write(
      join(folder, `${prefix}${split}-labels-idx1-ubyte.gz`),
      gzipSync(idxFile([count], Uint8Array.from(labels))),
    );
  }
}

describe('a path without a name', () => {
  it('is opened as what lies there, by the name of the folder where that fits', async () => {
    await writeIdxFolder(at('mnist'));
    await writeIdxFolder(at('digits'));
    await writeCifarFolder(at('cifar10'));
    await writeCifarFolder(at('cifar-10-batches-bin'));
    await writeIdxFolder(at('named', 'cifar10'));
    await writeImageFolder(at('photos'), { perClass: 4 });
    const names = ['mnist', 'digits', 'cifar10', 'cifar-10-batches-bin', 'named/cifar10', 'photos'];
    const found = await Promise.all(names.map(async (name) => (await sourceAt(at(name))).name));
    expect(found).toEqual(['mnist', 'idx', 'cifar10', 'cifar', 'idx', 'images']);
    // The same description as `data ls` gives, and the same examples as with the name.
    expect((await described(at('digits'))).name).toBe('idx');
    const [told, named] = [await load(at('mnist')), await load(at('mnist'), { name: 'mnist' })];
    expect(told.train.name).toBe('mnist train');
    expect(readX(told.train)).toEqual(readX(named.train));
    expect((await load(at('photos'))).train.classes).toEqual(['cat', 'dog', 'eel']);
  });
});

describe('idx', () => {
  it('takes labels from 1 under their own names, and statistics of its training images', async () => {
    await writeLetters(at('letters'), 'emnist-letters-');
    const { train, test } = await load(at('letters'), { validationShare: 0 });
    expect([train.name, train.size, test.size, shapeOf(train)]).toEqual(['idx train', 40, 8, [1, 5, 7]]);
    expect(train.classes).toEqual(['1', '2', '3', '4']);
    expect(new Set([...train.labels, ...test.labels])).toEqual(new Set([0, 1, 2, 3]));
    const values = [...readX(train)];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const square = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(1e-5);
    expect(Math.abs(square - 1)).toBeLessThan(1e-5);
    const { normalization } = await described(at('letters'));
    expect(test.preprocessing).toMatchObject(normalization ?? {});
    // Classes are chosen by position, whatever their labels.
    expect((await load(at('letters'), { classes: [3, 0] })).train.classes).toEqual(['4', '1']);
    await expect(load(at('letters'), { classes: [1, 4] })).rejects.toThrow('got 4; idx has 0 "1", 1 "2"');
  });

  it("names classes by EMNIST's mapping, and refuses one that is none", async () => {
    await writeLetters(at('mapped'), 'emnist-letters-');
    await write(at('mapped/emnist-letters-mapping.txt'), Buffer.from('1 65 97\n2 66 98\n3 67 99\n4 68 100\n'));
    expect((await load(at('mapped'))).test.classes).toEqual(['A', 'B', 'C', 'D']);
    await write(at('mapped/emnist-letters-mapping.txt'), Buffer.from('1 27\n'));
    await expect(load(at('mapped'))).rejects.toThrow(
      'expected lines of a label and codes of its characters, found "1 27"',
    );
  });

  it('of several sets in a folder opens the one whose training images are given', async () => {
    await writeLetters(at('several'), 'emnist-letters-');
    await writeLetters(at('several'), 'emnist-digits-', { classes: 2 });
    await expect(load(at('several'))).rejects.toThrow(
      /several: expected one set of IDX files, found emnist-digits, emnist-letters; give the path of the training images of one/,
    );
    const one = await load(at('several/emnist-digits-train-images-idx3-ubyte.gz'));
    expect(one.train.classes).toEqual(['1', '2']);
  });

  it('needs no test files, takes names with a dot, and colour in either order', async () => {
    await writeLetters(at('alone'), '', { test: false });
    const { train, validation, test } = await load(at('alone'), { testShare: 0.25 });
    expect([train.size, validation.size, test.size]).toEqual([25, 5, 10]);
    const labels = idxFile([6], Uint8Array.from([5, 9, 5, 9, 5, 9]));
    const first = pixelsOf(6, 3 * 4 * 5);
    const last = Uint8Array.from(first, (_, i) => {
      const [image, pixel, channel] = [Math.floor(i / 60), Math.floor((i % 60) / 3), i % 3];
      return first[image * 60 + channel * 20 + pixel];
    });
    const inputs = [];
    for (const [name, shape, data] of [
      ['first', [6, 3, 4, 5], first],
      ['last', [6, 4, 5, 3], last],
    ] as const) {
      await write(at(name, 'train-images.idx4-ubyte'), idxFile(shape, data));
      await write(at(name, 'train-labels.idx1-ubyte'), labels);
      const loaded = await load(at(name), { validationShare: 0 });
      expect(shapeOf(loaded.train)).toEqual([3, 4, 5]);
      expect(loaded.train.classes).toEqual(['5', '9']);
      inputs.push(readX(loaded.train));
      expect((await described(at(name, 'train-images.idx4-ubyte'))).image).toEqual([3, 4, 5]);
    }
    expect(inputs[1]).toEqual(inputs[0]);
    await write(at('last/train-images.idx4-ubyte'), idxFile([6, 4, 5, 2], new Uint8Array(240)));
    await expect(load(at('last'))).rejects.toThrow(
      'expected images with 1 or 3 channels, first or last, found shape [6,4,5,2]',
    );
  });

  it('refuses test labels that training lacks, test images of another size, and one class alone', async () => {
    await writeLetters(at('odd'), '');
    const labels = at('odd/test-labels-idx1-ubyte.gz');
    await write(labels, gzipSync(idxFile([8], Uint8Array.of(1, 2, 3, 4, 5, 1, 1, 1))));
    await expect(load(at('odd'))).rejects.toThrow('expected labels from 1 to 4, found 5 at position 4');
    await writeLetters(at('odd'), '');
    await write(at('odd/test-images-idx3-ubyte.gz'), gzipSync(idxFile([8, 7, 5], new Uint8Array(280))));
    await expect(load(at('odd'))).rejects.toThrow('expected images of 1×5×7, found 1×7×5');
    await writeLetters(at('one'), '', { classes: 1 });
    await expect(load(at('one'))).rejects.toThrow('one: expected two classes or more, found "1" alone');
  });
});

describe('cifar', () => {
  it('has the statistics of its training images and its own names, or numbers', async () => {
    await writeCifarFolder(at('own'));
    await rm(at('own/test_batch.bin'));
    const { train, test } = await load(at('own'), { validationShare: 0 });
    expect([train.classes[9], train.size, test.size]).toEqual(['9', 48, 12]);
    const counts = [0, 1, 2].map((channel) => {
      const pixels = pixelsOf(60, 3072);
      const own = [...pixels].filter((_, i) => Math.floor((i % 3072) / 1024) === channel);
      return own.reduce((sum, value) => sum + value / 255, 0) / own.length;
    });
    (train.preprocessing?.mean ?? []).forEach((mean, channel) => {
      expect(Math.abs(mean - counts[channel])).toBeLessThan(1e-6);
    });
    expect(train.preprocessing?.mean).toHaveLength(3);
  });

  it('reads the fine labels of CIFAR-100', async () => {
    const record = (coarse: number, fine: number, image: number) =>
      Buffer.concat([Buffer.of(coarse, fine), pixelsOf(1, 3072, image)]);
    await write(at('hundred/train.bin'), Buffer.concat([0, 1, 2, 3, 4, 5].map((i) => record(9, i % 3, i))));
    await write(at('hundred/test.bin'), Buffer.concat([6, 7].map((i) => record(9, i % 3, i))));
    await write(at('hundred/fine_label_names.txt'), Buffer.from('apple\nbaby\ncan\n'));
    const { train, test } = await load(at('hundred'), { validationShare: 0 });
    expect([train.classes, [...train.labels], [...test.labels]]).toEqual([
      ['apple', 'baby', 'can'],
      [0, 1, 2, 0, 1, 2],
      [0, 1],
    ]);
    const shown = await load(at('hundred'), { validationShare: 0, mean: [0], std: [1] });
    expect(Math.round(readX(shown.test, 1, 1)[5] * 255)).toBe(pixelsOf(1, 3072, 7)[5]);
  });
});

describe('image folders', () => {
  it('takes train, val and test for classes where they hold images themselves', async () => {
    const classes = ['car', 'test', 'train', 'val'];
    await writeImageFolder(at('vehicles'), { classes, perClass: 5 });
    const { train, notes } = await load(at('vehicles'));
    expect([train.classes, notes]).toEqual([classes, []]);
    await writeImageFolder(at('vehicles', 'train'), { classes: ['steam'], start: 50 });
    expect((await described(at('vehicles'))).splits[0].counts).toEqual([5, 5, 15, 5]);
  });

  it('refuses what may be either, and splits without train', async () => {
    await writeImageFolder(at('either', 'train'));
    await writeImageFolder(at('either'), { classes: ['car'] });
    await expect(load(at('either'), { name: 'images' })).rejects.toThrow(
      'expected classes, or classes in train, found both: train holds folders of images, and so does "car"',
    );
    await writeImageFolder(at('no-train', 'test'));
    await expect(load(at('no-train'), { name: 'images' })).rejects.toThrow('expected a folder train beside test');
  });

  it('val is the validation part, or the test part where there is no test', async () => {
    await writeImageFolder(at('three', 'train'));
    await writeImageFolder(at('three', 'val'), { perClass: 2, start: 100, classes: ['dog', 'cat'] });
    const ending = `${at('three', 'val')} serves as test images, since there is no folder test.`;
    const two = await load(at('three'));
    expect([two.train.size + two.validation.size, two.test.size, two.notes]).toEqual([30, 4, [ending]]);
    await writeImageFolder(at('three', 'test'), { perClass: 1, start: 200 });
    const { train, validation, test, notes } = await load(at('three'));
    expect([train.size, validation.size, test.size, notes]).toEqual([30, 4, 3, []]);
    expect([...validation.labels].sort()).toEqual([0, 0, 1, 1]);
    expect((await described(at('three'))).splits.map(({ name, size }) => [name, size])).toEqual([
      ['train', 30],
      ['validation', 4],
      ['test', 3],
    ]);
    await expect(load(at('three'), { validationShare: 0.2 })).rejects.toThrow(
      'data.validationShare: expected none, as images has validation examples of its own, got 0.2',
    );
  });

  it('says what it left out, and why', async () => {
    await writeImageFolder(at('mixed', 'train'), { classes: ['a', 'b'], perClass: 8 });
    await write(at('mixed/train/a/notes.txt'), Buffer.from('x'));
    await write(at('mixed/train/a/1.gif'), Buffer.from('x'));
    await write(at('mixed/train/b/2.GIF'), Buffer.from('x'));
    await write(at('mixed/train/loose.png'), await png(3, 8, 1));
    await write(at('mixed/test/0001.png'), await png(3, 8, 1));
    await write(at('mixed/extra/readme'), Buffer.from('x'));
    await write(at('mixed/loose.png'), await png(3, 8, 1));
    const { notes } = await load(at('mixed'));
    expect(notes).toEqual([
      `${at('mixed')}: 1 file ".png", left out: in no class folder.`,
      `${at('mixed', 'train')}: 1 file ".png", left out: in no class folder.`,
      `${at('mixed', 'train')}: 2 files ".gif", left out: no images that are read.`,
      `${at('mixed', 'train')}: 1 file ".txt", left out: no images that are read.`,
      `${at('mixed', 'test')} is left out: its images have no classes.`,
      `${at('mixed', 'extra')} is left out: it is not called as a split (train, val, valid, validation, test).`,
    ]);
    expect((await described(at('mixed'))).notes).toEqual(notes);
  });

  it('is grey only where every image is', async () => {
    for (const name of ['a', 'b'])
      for (let i = 0; i < 5; i++) await write(at('grey', name, `${i}.png`), await png(1, 6, i));
    expect(shapeOf((await load(at('grey'))).train)).toEqual([1, 6, 6]);
    await write(at('grey/b/9.png'), await png(3, 6, 9));
    for (const part of ['train', 'validation', 'test'] as const) {
      expect(shapeOf((await load(at('grey')))[part])).toEqual([3, 6, 6]);
    }
  });

  it('large photographs are resized, and other formats read', async () => {
    const pixels = new Uint8Array(4200 * 4100).fill(128);
    const photo = await encodePng({ pixels, channels: 1, height: 4200, width: 4100 });
    for (const name of ['a', 'b']) {
      await write(at('photo', name, '0.png'), photo);
      await write(at('photo', name, '1.ppm'), Buffer.concat([Buffer.from('P6 4 4 255\n'), Buffer.alloc(48, 128)]));
      await write(at('photo', name, '2.pgm'), Buffer.concat([Buffer.from('P5 4 4 255\n'), Buffer.alloc(16, 128)]));
    }
    const { train } = await load(at('photo'), { size: 5, validationShare: 0, mean: [0], std: [1], testShare: 0.2 });
    expect([train.size, shapeOf(train)]).toEqual([5, [3, 5, 5]]);
    expect(readX(train).every((value) => Math.round(value * 255) === 128)).toBe(true);
    await expect(load(at('photo'), { validationShare: 0 })).rejects.toThrow('give a size');
  });
});

describe('parts', () => {
  it('are never empty', async () => {
    await writeImageFolder(at('few'), { perClass: 1 });
    await expect(load(at('few'), { testShare: 0.01 })).rejects.toThrow('images test: expected examples, found none');
  });
});
