import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapeOf } from '../../test/support/examples.js';
import {
  cifarFile,
  cyclicLabels,
  idxFile,
  pixelsOf,
  write,
  writeCifarFolder,
  writeIdxFolder,
  writeImageFolder,
} from '../../test/support/image-data.js';
import { encodePng } from '../formats/index.js';
import { drawText } from './bitmap-font.js';
import { checkData, contactSheet, dataSources, dataSpec, describeData, findData, loadData } from './index.js';

let root: string;
const at = (...names: string[]) => join(root, ...names);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-check-'));
  await writeIdxFolder(at('sets', 'mnist'));
  await writeCifarFolder(at('sets', 'cifar10'));
  await writeImageFolder(at('sets', 'animals'));
  await write(at('sets', 'notes', 'README.md'), Buffer.from('no images'));
  for (const name of ['blue', 'red']) {
    const pixels = new Uint8Array(3 * 200 * 150);
    pixels.fill(255, name === 'red' ? 0 : 60_000, name === 'red' ? 30_000 : 90_000);
    await write(at('large', name, '0.png'), await encodePng({ pixels, channels: 3, height: 200, width: 150 }));
  }
  await writeImageFolder(at('split', 'train'));
  await writeImageFolder(at('split', 'test'), { perClass: 2, start: 500, classes: ['cat', 'eel'] });
});
afterAll(() => rm(root, { recursive: true }));

describe('findData', () => {
  it('describes each data set of a folder, and leaves out what is none', async () => {
    const found = (await findData(at('sets'))).map(describeData);
    const six = Array.from({ length: 10 }, () => 6);
    const two = Array.from({ length: 10 }, () => 2);
    expect(found.map(({ name, kind, image, splits }) => ({ name, kind, image, splits }))).toEqual([
      {
        name: 'images',
        kind: 'image folder',
        image: [3, 8, 8],
        splits: [{ name: 'all', size: 30, counts: [10, 10, 10] }],
      },
      {
        name: 'cifar10',
        kind: 'CIFAR folder',
        image: [3, 32, 32],
        splits: [
          { name: 'train', size: 60, counts: six },
          { name: 'test', size: 20, counts: two },
        ],
      },
      {
        name: 'mnist',
        kind: 'IDX folder',
        image: [1, 6, 6],
        splits: [
          { name: 'train', size: 60, counts: six },
          { name: 'test', size: 20, counts: two },
        ],
      },
    ]);
    expect(found[0].classes).toEqual(['cat', 'dog', 'eel']);
    expect(found[1].classes[9]).toBe('truck');
  });

  it('describes single files and folders with train and test', async () => {
    const one = async (path: string) => describeData((await findData(path))[0]);
    expect(await one(at('sets/mnist/train-labels-idx1-ubyte'))).toMatchObject({
      kind: 'IDX labels',
      splits: [{ size: 60 }],
    });
    expect(await one(at('sets/mnist/t10k-images-idx3-ubyte.gz'))).toMatchObject({
      kind: 'IDX images',
      image: [1, 6, 6],
      classes: [],
      splits: [{ name: 'all', size: 20, counts: [] }],
    });
    expect(await one(at('sets/cifar10/data_batch_2.bin.gz'))).toMatchObject({
      kind: 'CIFAR file',
      splits: [{ size: 30 }],
    });
    expect((await one(at('split'))).splits).toEqual([
      { name: 'train', size: 30, counts: [10, 10, 10] },
      { name: 'test', size: 4, counts: [2, 0, 2] },
    ]);
  });

  it('refuses what is no image data', async () => {
    await expect(findData(at('sets', 'notes'))).rejects.toThrow('notes: expected IDX files, CIFAR batches');
    await expect(findData(at('nothing'))).rejects.toThrow('nothing: expected a folder, found nothing');
    await expect(findData(at('sets/notes/README.md'))).rejects.toThrow('expected an IDX file');
  });
});

describe('checkData', () => {
  it('finds no copies where there are none', async () => {
    for (const found of await findData(at('sets'))) {
      let heard = 0;
      const { duplicates } = await checkData(found, () => heard++);
      expect(duplicates).toMatchObject({ between: 0, otherLabel: 0, pairs: [] });
      expect(heard).toBe(found.splits.reduce((sum, { size }) => sum + size, 0));
    }
  });

  it('finds copies within and between splits, and labels that differ', async () => {
    const folder = at('copies');
    await writeCifarFolder(folder);
    // Of the 20 test images, 5 are training images (one with another label), and one occurs twice.
    const pixels = Buffer.concat([pixelsOf(5, 3072, 40), pixelsOf(14, 3072, 60), pixelsOf(1, 3072, 60)]);
    const labels = cyclicLabels(20);
    labels[2] = 9;
    labels[19] = labels[5];
    await write(join(folder, 'test_batch.bin'), cifarFile(labels, pixels));
    const [found] = await findData(folder);
    const { duplicates, sizes } = await checkData(found);
    expect(duplicates).toMatchObject({ within: { train: 0, test: 1 }, between: 5, otherLabel: 1 });
    expect(duplicates.pairs).toHaveLength(6);
    expect(duplicates.pairs[2]).toEqual({
      first: `${join(folder, 'data_batch_2.bin.gz')} 12`,
      second: `${join(folder, 'test_batch.bin')} 2`,
      sameLabel: false,
    });
    expect(duplicates.pairs[5].first).toBe(`${join(folder, 'test_batch.bin')} 5`);
    expect(sizes).toEqual({ smallest: [32, 32], largest: [32, 32] });
  });

  it('tells the sizes of images, which a model needs resized', async () => {
    await writeImageFolder(at('sizes'), { side: (index) => 5 + index });
    const [found] = await findData(at('sizes'));
    expect((await checkData(found)).sizes).toEqual({ smallest: [5, 5], largest: [34, 34] });
    const spec = { name: 'images', path: at('sizes') };
    await expect(loadData(dataSpec.parse(spec))).rejects.toThrow(
      /expected \d+×\d+ pixels as the images before, found .*give a size/,
    );
    expect(shapeOf((await loadData(dataSpec.parse({ ...spec, size: 7 }))).test)).toEqual([3, 7, 7]);
  });
});

describe('contactSheet', () => {
  it('shows examples of each class in a row, on a grey ground', async () => {
    const [found] = await findData(at('sets', 'mnist'));
    const { pixels, channels, height, width } = await contactSheet(found, 4);
    expect([channels, pixels.length]).toEqual([3, 3 * height * width]);
    const pixel = (row: number, column: number) => [0, 1, 2].map((c) => pixels[(c * height + row) * width + column]);
    expect(pixel(0, 0)).toEqual([48, 48, 48]);
    // Images of 6 pixels a side are shown with 66; a row is 70 high, a split 4 images wide.
    const [top, left, split] = [height - 10 * 70, width - 2 * (4 * 70 + 8), 4 * 70 + 8];
    // Row 3, column 2: the third image of class 3 is number 23 (of test, with two of each, the second is 73, after 60 in
    // train), whose pixel (1, 4) is the tenth.
    for (const [begin, column, image] of [
      [left, 2, 23],
      [left + split, 1, 73],
    ]) {
      const value = pixelsOf(1, 36, image)[10];
      for (const within of [0, 10]) {
        const place = pixel(top + 3 * 70 + 11 + within, begin + column * 70 + 44 + within);
        expect(place, `image ${image}`).toEqual([value, value, value]);
      }
    }
    // Room is left for names, and something white is written there and above the images.
    const isWhite = (rows: [number, number], columns: [number, number]) => {
      for (let row = rows[0]; row < rows[1]; row++) {
        for (let column = columns[0]; column < columns[1]; column++) if (pixel(row, column)[0] === 255) return true;
      }
      return false;
    };
    for (let row = 0; row < 10; row++) expect(isWhite([top + row * 70, top + row * 70 + 66], [0, left])).toBe(true);
    for (const begin of [left, left + split]) expect(isWhite([0, top], [begin, begin + 80])).toBe(true);
  });

  it('writes letters as they look', () => {
    const canvas = { pixels: new Uint8Array(12 * 7), width: 12 };
    drawText(canvas, 'Lé', { top: 0, left: 0, scale: 1 });
    const rows = Array.from({ length: 7 }, (_, row) =>
      [...canvas.pixels.subarray(row * 12, row * 12 + 12)].map((value) => (value === 255 ? '#' : ' ')).join(''),
    );
    expect(rows.map((row) => row.trimEnd())).toEqual([
      '#',
      '#',
      '#      ###',
      '#     #   #',
      '#     #####',
      '#     #',
      '#####  ###',
    ]);
  });

  it('shows large images smaller, and colour as it is', async () => {
    const [found] = await findData(at('large'));
    const { channels, height, width, pixels } = await contactSheet(found, 1);
    expect([channels, height]).toEqual([3, 8 + 14 + 2 * 100]);
    // The last column of all is a gap; the one image of the last row is red.
    const pixel = [0, 1, 2].map((c) => pixels[(c * height + height - 50) * width + width - 60]);
    expect(pixel).toEqual([255, 0, 0]);
  });

  it('needs labelled images', async () => {
    const [labels] = await findData(at('sets/mnist/train-labels-idx1-ubyte'));
    await expect(contactSheet(labels)).rejects.toThrow(
      'expected labelled images for a contact sheet, found IDX labels',
    );
  });
});

describe('folders that do not fit', () => {
  const open = (name: string, path: string) => dataSources.get(name).open(path);

  it('IDX: counts that differ, labels that are no class, files exchanged or missing', async () => {
    const folder = at('bad-idx');
    await writeIdxFolder(folder);
    const labels = join(folder, 't10k-labels-idx1-ubyte.gz');
    await write(labels, gzipSync(idxFile([19], new Uint8Array(19))));
    await expect(open('mnist', folder)).rejects.toThrow(
      'expected 20 labels as t10k-images-idx3-ubyte has images, found 19',
    );
    await write(labels, gzipSync(idxFile([20], Uint8Array.from(cyclicLabels(20, 11)))));
    await expect(open('mnist', folder)).rejects.toThrow('expected labels from 0 to 9, found 10 at position 10');
    await write(labels, idxFile([20, 6, 6], new Uint8Array(720)));
    await expect(open('mnist', folder)).rejects.toThrow('expected labels (magic 0x00000801), found images');
    await rm(labels);
    await expect(open('mnist', folder)).rejects.toThrow(
      'bad-idx: expected a file t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz, found none',
    );
    await symlink('/etc/hostname', labels);
    await expect(open('mnist', folder)).rejects.toThrow('expected a file, found a link out of the folder');
  });

  it('CIFAR-10: no batch, labels beyond the names', async () => {
    const folder = at('bad-cifar');
    await write(join(folder, 'batches.meta.txt'), Buffer.from('a\nb\n'));
    await expect(open('cifar10', folder)).rejects.toThrow(
      'expected a file data_batch_1.bin or data_batch_1.bin.gz, found none',
    );
    await writeCifarFolder(folder);
    await expect(open('cifar10', folder)).rejects.toThrow(
      'data_batch_1.bin: expected labels from 0 to 1, found 2 in record 2',
    );
  });

  it('images: no classes, an empty class, another class in test, links, damaged files', async () => {
    await expect(open('images', at('sets', 'notes'))).rejects.toThrow(
      'expected 1 to 100000 subfolders, one a class, found 0',
    );
    await writeImageFolder(at('bad', 'train'));
    await writeImageFolder(at('bad', 'test'), { classes: ['fox'] });
    await expect(open('images', at('bad'))).rejects.toThrow(
      'fox: expected a class of the training images, found another',
    );
    await rm(at('bad', 'test'), { recursive: true });
    await write(at('bad/train/cow/notes.txt'), Buffer.from('none'));
    await expect(open('images', at('bad'))).rejects.toThrow(
      'cow: expected images (.png, .jpg, .jpeg, .tif, .tiff, .webp, .bmp, .ppm, .pgm), found none',
    );
    await symlink('/etc/hostname', at('bad/train/cat/x.png'));
    await expect(open('images', at('bad'))).rejects.toThrow(
      'x.png: expected an image or a class, found a link out of the folder',
    );
    await rm(at('bad/train/cat/x.png'));
    await write(at('bad/train/cow/0.png'), Buffer.from('none'));
    const spec = dataSpec.parse({ name: 'images', path: at('bad') });
    await expect(loadData(spec)).rejects.toThrow(/0.png: expected a PNG, JPEG, .* image, found other bytes/);
  });
});
