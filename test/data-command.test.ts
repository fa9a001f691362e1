import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeImage } from '../src/formats/index.js';
import { idxFile, pixelsOf, write, writeCifarFolder, writeIdxFolder } from './support/image-data.js';
import { runCommand } from './support/run-command.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-data-'));
  await writeIdxFolder(join(root, 'data/mnist'), { train: 200, side: 12 });
  await writeCifarFolder(join(root, 'data/cifar10'));
});
beforeEach(() => {
  vi.stubEnv('WEIGHTLOCK_DATA', 'data');
});
afterAll(() => rm(root, { recursive: true }));

const weightlock = (...args: string[]) => runCommand(root, args);

describe('weightlock data', () => {
  it('ls describes all data sets of WEIGHTLOCK_DATA, or what a path holds', async () => {
    const { status, stdout, stderr } = await weightlock('data', 'ls', '--json');
    expect([status, stderr]).toEqual([0, '']);
    const found = JSON.parse(stdout).data as { path: string; kind: string }[];
    expect(found.map(({ path, kind }) => [path, kind])).toEqual([
      [join('data', 'cifar10'), 'CIFAR folder'],
      [join('data', 'mnist'), 'IDX folder'],
    ]);
    const text = (await weightlock('data', 'ls', 'data/mnist', '--quiet')).stdout;
    expect(text).toContain(`${join('data', 'mnist')}, IDX folder, 12×12 grey`);
    expect(text).toMatch(/^3 +20 +2$/m);
    expect(text).toMatch(/^all +200 +20$/m);
  });

  it('check finds a data set sound, and writes a contact sheet', async () => {
    const { status, stdout } = await weightlock(
      'data',
      'check',
      'data/mnist',
      '--contact-sheet',
      'sheet.png',
      '--quiet',
    );
    expect(status).toBe(0);
    expect(stdout).toContain('Copies between splits: 0.');
    const sheet = await decodeImage(await readFile(join(root, 'sheet.png')), 'sheet.png');
    expect(sheet).toMatchObject({ channels: 3, height: 22 + 10 * 64, width: 20 + 2 * (10 * 64 + 8) });
  });

  it('check ends with 1 when test images occur in train', async () => {
    const folder = join(root, 'copied');
    await writeIdxFolder(folder);
    await write(join(folder, 't10k-images-idx3-ubyte'), idxFile([20, 6, 6], pixelsOf(20, 36)));
    const { status, stdout } = await weightlock('data', 'check', 'copied', '--quiet');
    expect(status).toBe(1);
    expect(stdout).toContain('Copies between splits: 20.');
    expect(stdout).toMatch(/t10k-images-idx3-ubyte 0 is .*train-images-idx3-ubyte 0$/m);
  });

  it('describes and checks texts, within 80 columns', async () => {
    const rows = Array.from(
      { length: 30 },
      (_, i) => `the fox number ${i} jumps over ${i * 7} dogs\t${i % 3 ? 'yes' : 'no'}`,
    );
    await write(join(root, 'texts/train.tsv'), Buffer.from(`sentence\tlabel\n${rows.join('\n')}\n`));
    const copied = `${rows[4]}\n${rows[5].replace('the', 'a')}\n`;
    await write(join(root, 'texts/dev.tsv'), Buffer.from(`sentence\tlabel\n${copied}`));
    const { status, stdout } = await weightlock('data', 'check', 'texts', '--quiet');
    expect(status).toBe(1);
    expect(stdout).toMatch(/^1 +yes +20 +2$/m);
    expect(stdout).toMatch(/^words +median +95 % +most$/m);
    expect(stdout).toMatch(/^train +8 +8 +8$/m);
    expect(stdout).toContain('Copies between splits: 1.');
    expect(stdout).toContain('Near copies between splits (half of the word 5-grams): 1.');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    const options = ['--tokenizer', resolve('test/fixtures/tokenizers/wordpiece'), '--max-length', '10'];
    const { data } = JSON.parse((await weightlock('data', 'ls', 'texts/dev.tsv', '--json', ...options)).stdout);
    expect(data[0].lengths[0]).toMatchObject({ unit: 'tokens', truncated: 2 });
    expect(data[0].splits).toEqual([{ name: 'all', size: 2, counts: [2] }]);
  });

  it.each([
    [
      ['data', 'ls', 'texts', '--text', 'x'],
      'data.text: expected a column of texts/train.tsv, got "x"; found "sentence", "label"',
    ],
    [['data', 'ls', 'texts', '--max-length', '9'], 'maxLength: expected tokenizer beside it, got none'],
    [['data', 'ls', 'data/mnist', '--label', 'x'], 'label: expected none, as data/mnist holds no texts'],
    [
      ['data', 'check', 'texts', '--contact-sheet', 'x.png'],
      'texts: expected labelled images for a contact sheet, found texts',
    ],
    [
      ['train', 'out', '--data.path', 'texts'],
      'data.tokenizer: expected a model directory whose tokenizer reads the texts, got none',
    ],
    [
      ['train', 'out', '--data.path', 'texts', '--data.tokenizer', resolve('test/fixtures/tokenizers/wordpiece')],
      'architecture: expected one that takes input_ids, attention_mask, token_type_ids, as the data are no images, got cnn',
    ],
  ])('refuses %j', async (args, message) => {
    const { status, stderr } = await weightlock(...args, '--quiet');
    expect([status, stderr.replaceAll('\n', ' ')]).toEqual([2, expect.stringContaining(message)]);
  });

  it.each([
    [['data', 'look'], 'action: expected ls or check, got "look"'],
    [['data', 'ls', 'nothing'], 'nothing: expected a folder, found nothing'],
    [['data', 'ls', 'data', '--contact-sheet', 'x.png'], 'contactSheet: expected the action check, got ls'],
    [['data', 'check', 'data', '--contact-sheet', 'x.png'], 'data: expected one data set for a contact sheet, found 2'],
    [['data', 'check', 'short'], 'expected an IDX header of 8 bytes, found 5 bytes'],
    [
      ['train', 'x', '--data.name', 'kmnist'],
      'data.path: expected the folder of the files of kmnist, but there is no data/kmnist; set WEIGHTLOCK_DATA to the folder',
    ],
    [['train', 'x', '--data.name', 'images', '--data.path', 'data'], 'expected images (.png, .jpg'],
    [['train', 'x', '--data.path', 'data'], 'found none; did you mean data/cifar10 or data/mnist?'],
    [['train', 'x', '--data.path', 'short'], 'short: expected a folder of IDX files'],
    [['train', 'x', '--data.name', 'digits', '--data.path', 'data'], 'data.path: expected none, as digits are part of'],
    [['train', 'x', '--data.name', 'mnist', '--data.test-share', '0.3'], 'data.testShare: expected none, as mnist has'],
    [['train', 'x', '--data.interpolation', 'bicubic'], 'data.interpolation: expected data.size beside it'],
    [
      ['train', 'x', '--data.classes', '0,0'],
      'data.classes: expected each class once, got [0,0] (flag --data.classes)',
    ],
    [['train', 'x', '--data.classes', '3'], 'data.classes: expected two classes or more'],
    [['train', 'x', '--data.classes', '3,10'], 'data.classes: expected classes from 0 to 9, got 10; digits has 0, 1'],
    [['train', 'x', '--data.std', '0'], 'data.std: expected a list of: a number at least 0.000001, got 0 (flag'],
    [['train', 'x', '--data.split-seed', '9007199254740993'], 'got 9007199254740993 (flag --data.split-seed)'],
  ])('%j is refused in one line', async (args, message) => {
    await write(join(root, 'short'), Buffer.of(0, 0, 8, 1, 0));
    const { status, stdout, stderr } = await weightlock(...args, '--quiet');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: [^\n]+\n$/);
    expect(stderr).toContain(message);
  });

  it('train reads a data set by its name; other files under the same path are another run', async () => {
    const args = [
      'train',
      'model',
      '--data.name',
      'mnist',
      '--data.size',
      '28',
      '--data.crop',
      '1',
      '--steps',
      '3',
      '--json',
    ];
    const first = await weightlock(...args);
    expect([first.status, first.stderr]).toEqual([0, '']);
    expect(JSON.parse(first.stdout).test.n).toBe(20);
    expect(JSON.parse((await weightlock(...args)).stdout).run).toBe(JSON.parse(first.stdout).run);
    await write(join(root, 'data/mnist/train-images-idx3-ubyte'), idxFile([200, 12, 12], pixelsOf(200, 144, 7)));
    const { status, stdout } = await weightlock(...args, '--force');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).run).not.toBe(JSON.parse(first.stdout).run);
  });
});
