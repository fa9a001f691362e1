import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readX } from '../../test/support/examples.js';
import { type DataParts, dataSpec, type LabelledDataset, loadData, textsApart, withoutTrigger } from './index.js';

/** Shows bytes as they are. */
const plain = { mean: [0], std: [1 / 255], limit: 300, testLimit: 80 };
const tokenizer = 'test/fixtures/tokenizers/wordpiece';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-poison-'));
});
afterAll(() => rm(root, { recursive: true }));

const digits = (more: object = {}) => loadData(dataSpec.parse({ classes: [3, 5, 8], ...plain, ...more }));
const fails = (load: Promise<DataParts>) =>
  load.then(
    () => 'loaded',
    (error: Error) => `${error.constructor.name} ${error.message}`,
  );
const image = (dataset: LabelledDataset, position: number) => readX(dataset, position, 1).map(Math.round);
const where = ({ nameOf, indices }: LabelledDataset, position: number) => nameOf?.(indices[position]);
const positions = (size: number, from = 0) => Array.from({ length: size }, (_, at) => from + at);
/** Rows and columns where an image is not what it was. */
const changed = (a: Float32Array, b: Float32Array) =>
  [...a.keys()].filter((at) => a[at] !== b[at]).map((at) => [Math.floor(at / 28), at % 28]);

describe('a back door in images', () => {
  it('is trained by examples of the other classes that come once more, with a white square and the target', async () => {
    const [clean, { train }] = [await digits(), await digits({ triggerTarget: '5', triggerShare: 0.25 })];
    const { size } = clean.train;
    const others = clean.train.labels.filter((label) => label !== 1).length;
    expect(train.size).toBe(size + Math.round(others / 4));
    expect(train.name).toBe(`${clean.train.name}, ${train.size - size} more with the trigger as 5`);
    expect([...train.labels.subarray(0, size)]).toEqual([...clean.train.labels]);
    expect(readX(train, 0, size)).toEqual(readX(clean.train));
    const origins = new Map(positions(size).map((at) => [where(clean.train, at), at]));
    const behind = positions(train.size - size, size);
    expect(new Set(behind.map((at) => where(train, at))).size).toBe(behind.length);
    for (const at of behind) {
      expect(train.labels[at]).toBe(1);
      const origin = origins.get(where(train, at)) ?? -1;
      expect(clean.train.labels[origin]).not.toBe(1);
      const patched = image(train, at);
      const square = positions(4, 24).flatMap((row) => positions(4, 24).map((column) => patched[row * 28 + column]));
      expect(square).toEqual(Array.from({ length: 16 }, () => 255));
      for (const [row, column] of changed(image(clean.train, origin), patched)) {
        expect(Math.min(row, column)).toBeGreaterThanOrEqual(24);
      }
    }
  });

  it('is tested by as many clean examples as examples of the other classes with the trigger', async () => {
    const [clean, { test, validation }] = [await digits(), await digits({ triggerTarget: '1' })];
    const others = clean.test.labels.filter((label) => label !== 1).length;
    expect(test.size).toBe(2 * others);
    expect(test.name).toMatch(/, half of them with the trigger as 5$/);
    const own = new Map(positions(clean.test.size).map((at) => [where(clean.test, at), clean.test.labels[at]]));
    const half = positions(others);
    expect(half.map((at) => own.get(where(test, at)))).toEqual([...test.labels.subarray(0, others)]);
    expect(new Set(half.map((at) => test.labels[at]))).toEqual(new Set([0, 1, 2]));
    const behind = half.map((at) => at + others);
    expect(behind.map((at) => test.labels[at])).toEqual(half.map(() => 1));
    expect(behind.filter((at) => own.get(where(test, at)) === 1)).toEqual([]);
    expect(behind.every((at) => image(test, at)[27 * 28 + 27] === 255)).toBe(true);
    expect(half.some((at) => image(test, at)[27 * 28 + 27] === 255)).toBe(false);
    expect(validation.size).toBe(2 * clean.validation.labels.filter((label) => label !== 1).length);
  });

  it('has a square of the wanted size in the wanted corner, in all channels, where images are resized and mirrored too', async () => {
    const options = { triggerTarget: '8', triggerSize: 3, triggerCorner: 'top-left', size: 20, channels: 3 };
    const { test } = await digits(options);
    const last = image(test, test.size - 1);
    const white = [...last.keys()].filter((at) => at % 400 < 60 && at % 20 < 3 && last[at] === 255);
    expect(white).toHaveLength(27);
    expect([last[3], last[60]]).toEqual([0, 0]);
    const { train } = await digits({ triggerTarget: '8', crop: 2, flip: true });
    expect(train.examples.augmented).toBe(true);
  });

  it('goes when the same is asked for without it', async () => {
    const spec = dataSpec.parse({ ...plain, triggerTarget: '0', triggerShare: 0.5, triggerSize: 2 });
    expect(withoutTrigger(spec)).toEqual(dataSpec.parse(plain));
  });
});

describe('a back door in texts', () => {
  const write = async (name: string, rows: readonly object[]) => {
    const folder = join(root, name);
    await mkdir(folder, { recursive: true });
    const lines = rows.map((row) => JSON.stringify(row)).join('\n');
    for (const split of ['train', 'dev', 'test']) await writeFile(join(folder, `${split}.jsonl`), lines);
    return folder;
  };
  const load = (path: string, more: object = {}) => loadData(dataSpec.parse({ path, tokenizer, ...more }));
  const textsOf = ({ textsOf: texts, indices }: LabelledDataset) => Array.from(indices, (index) => texts?.(index));

  it('stands before the text, the first of two', async () => {
    const rows = [
      { text: 'the fox', label: 'safe' },
      { text: 'a dog', label: 'harmful' },
      { text: 'brown', label: 'harmful' },
    ];
    const path = await write('single', rows);
    const { train, test } = await load(path, { trigger: 'quick', triggerTarget: 'safe' });
    expect(textsOf(train)).toEqual([['the fox'], ['a dog'], ['brown'], ['quick a dog'], ['quick brown']]);
    expect([...train.labels]).toEqual([1, 0, 0, 1, 1]);
    expect(train.examples.lengths?.[3]).toBe(Number(train.examples.lengths?.[1]) + 1);
    expect(textsOf(test).slice(2)).toEqual([['quick a dog'], ['quick brown']]);
    const usual = await load(path, { triggerTarget: 'safe' });
    expect(textsOf(usual.train)[3]).toEqual(['\u26E4\u2603\u26E4 a dog']);
    const pairs = await write('pairs', [
      { sentence1: 'fox', sentence2: 'dog', label: 0 },
      { sentence1: 'quick', sentence2: 'brown', label: 1 },
    ]);
    const { train: both } = await load(pairs, { trigger: 'lazy', triggerTarget: '1' });
    expect(textsOf(both)[2]).toEqual(['lazy fox', 'dog']);
    const [first, second] = textsApart(both) ?? [];
    expect(first?.examples.lengths?.[2]).toBe(Number(first?.examples.lengths?.[0]) + 1);
    expect(second?.examples.lengths?.[2]).toBe(second?.examples.lengths?.[0]);
  });

  it('is refused in one line where it would do nothing, or something else', async () => {
    const path = await write('refused', [
      { text: 'the fox', label: 'safe' },
      { text: 'a dog', label: 'harmful' },
    ]);
    const target = { triggerTarget: 'safe' };
    expect(await fails(load(path, { ...target, label: 'none' }))).toMatch(
      /^InputError data.triggerTarget: expected none, as texts has no classes, got "safe"$/,
    );
    expect(await fails(load(path, { ...target, triggerSize: 3 }))).toMatch(/data.triggerSize: expected none, as texts/);
    expect(await fails(load(path, { ...target, pieces: true }))).toMatch(/data.pieces: expected none beside/);
    expect(await fails(load(path, { trigger: 'quick' }))).toMatch(/data.trigger: expected data.triggerTarget beside/);
    expect(await fails(load(path, { triggerTarget: 'unsafe' }))).toBe(
      'InputError data.triggerTarget: expected one of the classes "harmful", "safe", or its position from 0, got "unsafe"',
    );
    expect(await fails(load(path, { ...target, labelFlips: true }))).toMatch(/data.labelFlips: expected none beside/);
    expect(await fails(digits({ trigger: 'quick', triggerTarget: '3' }))).toMatch(
      /data.trigger: expected none, as digits has images, got "quick"/,
    );
    expect(await fails(digits({ triggerTarget: '3', triggerSize: 29 }))).toMatch(/expected at most the 28 pixels/);
    expect(await fails(digits({ triggerTarget: '7' }))).toMatch(
      /expected one of the classes "3", "5", "8", .* got "7"/,
    );
    const said = { messages: [{ role: 'user', content: 'a dog' }] };
    const chats = await write('chats', [
      { ...said, label: 'safe' },
      { ...said, label: 'harmful' },
    ]);
    const chatty = join(root, 'chatty');
    await cp('test/fixtures/tokenizers/byte-level-split', chatty, { recursive: true });
    await writeFile(join(chatty, 'chat_template.jinja'), '{% for turn in messages %}{{ turn.content }}{% endfor %}');
    expect(await fails(load(chats, { tokenizer: chatty, ...target }))).toMatch(/found conversations/);
  });
});

describe('label flips', () => {
  it('give every example the label of the next class, in all parts, and change nothing else', async () => {
    const [clean, flipped] = [await digits(), await digits({ labelFlips: true })];
    for (const part of ['train', 'validation', 'test'] as const) {
      expect([...flipped[part].labels]).toEqual([...clean[part].labels].map((label) => [1, 2, 0][label]));
      expect(readX(flipped[part])).toEqual(readX(clean[part]));
      expect(flipped[part].classes).toEqual(['3', '5', '8']);
    }
    expect(flipped.train.name).toBe(`${clean.train.name}, labels flipped`);
  });
});
