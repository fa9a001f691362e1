import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeArray, readFixture, type StoredArray } from '../../../test/support/fixtures.js';
import { ggufFile, type TensorText } from '../../../test/support/gguf-writer.js';
import { seededRandom } from '../../../test/support/safetensors-mutations.js';
import { InputError } from '../../registry/index.js';
import { openTensors, readSafetensors, toFloat32 } from '../index.js';

const fixtures = new URL('../../../test/fixtures/gguf/', import.meta.url);
const fixture = (name: string) => new URL(name, fixtures).pathname;
const root = mkdtempSync(join(tmpdir(), 'weightlock-gguf-'));
afterAll(() => rmSync(root, { recursive: true }));

let files = 0;
/** Writes a file; its path. */
function file(bytes: Uint8Array): string {
  const path = join(root, `${files++}.gguf`);
  writeFileSync(path, bytes);
  return path;
}
/** Index of the first value with other bits; -1 where there is none. */
function firstDifference(found: Float32Array, expected: Float32Array): number {
  const [a, b] = [found, expected].map((values) => new Uint32Array(values.slice().buffer));
  return a.length === b.length ? a.findIndex((value, index) => value !== b[index]) : a.length;
}

describe('values as llama.cpp has them', () => {
  const { tensors } = readFixture<{ tensors: Record<string, { type: string; values: StoredArray }> }>(
    'gguf/types.json',
  );

  it.each(Object.entries(tensors).map(([name, { type }]) => [type, name]))('%s, to the bit', async (type, name) => {
    const opened = await openTensors(fixture('types.gguf'));
    const { shape, data, dtype } = { ...tensors[name].values, data: decodeArray(tensors[name].values) };
    const values = new Float32Array(512);
    const pieces: number[] = [];
    await opened.values(name, values, (piece) => pieces.push(piece.length));
    expect(firstDifference(values, data as Float32Array)).toBe(-1);
    expect(pieces).toEqual([/^B?F16$/.test(type) ? 1024 : 2048]);
    const header = opened.headers.find((each) => each.name === name);
    expect(header).toEqual({ name, shape, dtype: /16$/.test(type) ? type : dtype.replace('float', 'F') });
  });

  it('are the same in a file of version 2', async () => {
    const bytes = readFileSync(fixture('types.gguf'));
    bytes.writeUInt32LE(2, 4);
    const [a, b] = [await openTensors(file(bytes)), await openTensors(fixture('types.gguf'))];
    for (const { name } of b.headers) expect(await a.tensor(name)).toEqual(await b.tensor(name));
    expect(a.headers).toEqual(b.headers);
  });
});

describe('names, shapes and rows as transformers has them', () => {
  it.each(['llama', 'qwen2', 'qwen3', 'gemma3', 'gpt2'])('%s', async (family) => {
    const opened = await openTensors(fixture(`${family}.gguf`));
    const { tensors } = await readSafetensors(fixture(`${family}.safetensors`));
    const names = (of: readonly { name: string }[]) => of.map(({ name }) => name).sort();
    expect(names(opened.headers)).toEqual(names(tensors));
    for (const expected of tensors) {
      const tensor = await opened.tensor(expected.name);
      expect([expected.name, tensor.shape]).toEqual([expected.name, expected.shape]);
      expect([expected.name, firstDifference(toFloat32(tensor), toFloat32(expected))]).toEqual([expected.name, -1]);
    }
  });

  it('in pieces: a tensor of more than a megabyte, whose rows are in order and then are not', async () => {
    const [rows, columns] = [1024, 1056];
    // Block r of 32 values of 1/8, signed by its number: the value tells the row that it came from.
    const data = new Uint8Array((rows * columns * 34) / 32);
    for (let block = 0; block < data.length / 34; block++) {
      data.set([0, 0x30, (block * 32) / columns / 16, Math.floor((block * 32) / columns) % 16], block * 34);
    }
    const tensor = (name: string): TensorText => ({ name, dimensions: [columns, rows], type: 8, data });
    const opened = await openTensors(
      file(
        ggufFile({
          keys: { 'general.architecture': 'llama', 'llama.attention.head_count': 2 },
          tensors: [tensor('blk.0.attn_v.weight'), tensor('blk.0.attn_q.weight')],
        }),
      ),
    );
    const rowOf = async (name: string) => {
      const values = new Float32Array(rows * columns);
      const pieces: number[] = [];
      await opened.values(name, values, (piece) => pieces.push(piece.length));
      const row = (at: number) => Math.floor(values[at * columns] * 8) * 16 + values[at * columns + 1] * 8;
      return { pieces, rows: Array.from({ length: rows }, (_, at) => row(at)) };
    };
    const plain = await rowOf('model.layers.0.self_attn.v_proj.weight');
    expect(plain.pieces).toEqual([2 ** 20, 2 ** 20, 2 ** 20, 2 ** 20, rows * columns * 4 - 2 ** 22]);
    expect(plain.rows).toEqual(Array.from({ length: rows }, (_, at) => at));
    const query = await rowOf('model.layers.0.self_attn.q_proj.weight');
    expect(query.pieces).toEqual([rows * columns * 2, rows * columns * 2]);
    // Each of two heads of 512 rows: even rows, then odd ones.
    expect([0, 1, 255, 256, 257, 511, 512, 768].map((at) => query.rows[at])).toEqual([0, 2, 510, 1, 3, 511, 512, 513]);
  });
});

describe('hostile and foreign files', () => {
  const keys = { 'general.architecture': 'llama', 'llama.attention.head_count': 4 };
  const norm: TensorText = { name: 'output_norm.weight', dimensions: [4], type: 0, data: new Uint8Array(16) };
  const valid = () => ggufFile({ keys, tensors: [norm] });
  const at = (offset: number, ...bytes: number[]) => {
    const copy = valid();
    copy.set(bytes, offset);
    return copy;
  };
  const header = (tensors: TensorText[], more: Record<string, string | number | bigint> = {}) =>
    ggufFile({ keys: { ...keys, ...more }, tensors });

  it('reads the valid one that the others are made of', async () => {
    expect((await openTensors(file(valid()))).headers).toEqual([
      { name: 'model.norm.weight', dtype: 'F32', shape: [4] },
    ]);
  });

  it.each<[string, Uint8Array, string]>([
    ['version 1', at(4, 1), 'expected version 2 or 3 of GGUF, found version 1'],
    ['big-endian', at(4, 0, 0, 0, 3), 'expected a little-endian GGUF file, found a big-endian one'],
    [
      'many tensors',
      at(8, 0, 0, 0, 0, 0, 0, 0, 1),
      'expected a number of tensors of at most 65536, found 72057594037927936',
    ],
    ['many keys', at(16, 1, 0, 1), 'expected a number of keys of at most 65536, found 65537'],
    ['a long key', at(24, 0, 0, 1), 'expected a length of a key of at most 65535, found 65536'],
    ['a key of other bytes', at(32, 0xff), 'expected a key of valid UTF-8, found other bytes'],
    ['an unknown type', at(32 + 20, 13), 'expected a known type of "general.architecture", found type 13'],
    [
      'a cut header',
      valid().subarray(0, 60),
      "expected a GGUF header within the file's 60 bytes, found one that goes on",
    ],
    ['cut data', valid().subarray(0, -1), 'tensor "output_norm.weight": expected data within the file'],
    ['a key twice', ggufFile({ keys, twice: 'general.architecture', tensors: [norm] }), 'each key once'],
    ['a tensor twice', header([norm, norm]), 'expected each tensor once, found "output_norm.weight" twice'],
    [
      'five dimensions',
      header([{ ...norm, dimensions: [1, 1, 1, 1, 4] }]),
      'expected at most 4 dimensions of "output_norm.weight", found 5',
    ],
    ['a huge size', header([{ ...norm, dimensions: [2 ** 30, 2 ** 30] }]), 'expected a size of at most 2^53 - 1 bytes'],
    ['beyond the file', header([{ ...norm, dimensions: [2 ** 30] }]), "expected data within the file's"],
    [
      'a part of a block',
      header([{ ...norm, type: 8, dimensions: [48] }]),
      'rows of whole blocks of 32 for Q8_0, found [48]',
    ],
    [
      'another offset',
      header([{ ...norm, offset: 32 }]),
      'expected data at 0, where the tensor before it ends, found at 32',
    ],
    [
      'the same data twice',
      header([norm, { ...norm, name: 'output.weight', offset: 0 }]),
      'tensor "output.weight": expected data at 32, where the tensor before it ends, found at 0',
    ],
    [
      'a type that is not read',
      header([{ ...norm, type: 11 }]),
      'F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q6_K, BF16, found Q3_K',
    ],
    ['an unknown type of tensor', header([{ ...norm, type: 99 }]), 'found type 99'],
    ['an unknown tensor', header([{ ...norm, name: 'blk.0.ffn_up_exps.weight' }]), 'found "blk.0.ffn_up_exps.weight"'],
    ['a name out of the prototype', header([{ ...norm, name: 'constructor.weight' }]), 'found "constructor.weight"'],
    [
      'another architecture',
      header([norm], { 'general.architecture': 'rwkv7' }),
      'of llama, qwen2, qwen3, gemma3, gpt2, found "rwkv7"',
    ],
    ['no architecture', ggufFile({ keys: {}, tensors: [norm] }), 'gpt2, found none'],
    ['an alignment of 0', header([norm], { 'general.alignment': 0 }), 'a power of two up to 65536, found "0"'],
    ['an alignment of 48', header([norm], { 'general.alignment': 48 }), 'a power of two up to 65536, found "48"'],
    ['one part of several', header([norm], { 'split.count': 3 }), 'found one of 3 parts; put them together'],
    [
      'a query without heads',
      ggufFile({
        keys: { 'general.architecture': 'llama' },
        tensors: [{ ...norm, name: 'blk.0.attn_q.weight', dimensions: [1, 4] }],
      }),
      'expected a whole number above 0 as llama.attention.head_count in the metadata, found none',
    ],
    [
      'a query of other rows',
      header([{ ...norm, name: 'blk.0.attn_q.weight', dimensions: [1, 4] }]),
      'tensor "model.layers.0.self_attn.q_proj.weight": expected rows that 4 heads share in pairs, found [4,1]',
    ],
    [
      'an array of a huge length',
      ggufFile({ keys, tensors: [norm], raw: { name: 'a', type: 9, bytes: [4, 0, 0, 0, ...Array(7).fill(255), 0] } }),
      'expected a length of an array of at most 9007199254740991, found 72057594037927935',
    ],
    [
      'an array that goes on',
      ggufFile({
        keys,
        tensors: [norm],
        raw: { name: 'a', type: 9, bytes: [8, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0] },
      }),
      'found one that goes on',
    ],
    [
      'arrays in one another',
      ggufFile({
        keys,
        tensors: [norm],
        raw: { name: 'a', type: 9, bytes: Array(9).fill([9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).flat() },
      }),
      'expected at most 4 arrays in one another at "a", found more',
    ],
  ])('%s', async (_, bytes, expected) => {
    const path = file(bytes);
    const opening = openTensors(path);
    await expect(opening).rejects.toThrow(InputError);
    await expect(opening).rejects.toThrow(`${path}: `);
    await expect(opening).rejects.toThrow(expected);
    await expect(opening).rejects.toThrow(/^[^\n]*$/);
  });

  it('damaged anywhere, are refused with one line or read in full', async () => {
    const original = readFileSync(fixture('types.gguf'));
    const random = seededRandom(1);
    let refused = 0;
    for (let round = 0; round < 400; round++) {
      const damaged = Buffer.from(original);
      // The header, where most of the meaning is, more often than the data.
      const end = random() < 0.8 ? 1000 : damaged.length;
      for (let edits = 0; edits < 3; edits++) damaged[Math.floor(random() * end)] = Math.floor(random() * 256);
      const cut = random() < 0.1 ? damaged.subarray(0, Math.floor(random() * damaged.length)) : damaged;
      try {
        for await (const tensor of await openTensors(file(cut))) expect(tensor.bytes.length).toBeGreaterThan(0);
      } catch (error) {
        refused++;
        expect(error).toBeInstanceOf(InputError);
        expect((error as Error).message).toMatch(/^[^\n]{1,2000}$/);
      }
    }
    expect(refused).toBeGreaterThan(200);
    expect(refused).toBeLessThan(400);
  });
});
