import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  DTYPE_BYTES,
  encodeSafetensors,
  openTensors,
  type StoredDType,
  type StoredTensor,
  toFloat32,
} from './index.js';

const root = mkdtempSync(join(tmpdir(), 'weightlock-sharded-'));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;

const tensor = (name: string): StoredTensor => ({ name, dtype: 'U8', shape: [2], bytes: Uint8Array.of(1, 2) });

/** A new folder with these safetensors files (by tensor names) and this index. */
function model(files: Record<string, string[]>, index?: unknown): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, tensors] of Object.entries(files)) {
    writeFileSync(join(folder, name), encodeSafetensors({ tensors: tensors.map(tensor), metadata: {} }));
  }
  if (index !== undefined) {
    const text = typeof index === 'string' ? index : JSON.stringify(index);
    writeFileSync(join(folder, 'model.safetensors.index.json'), text);
  }
  return folder;
}

const index = (weight_map: Record<string, string>) => ({ metadata: { total_size: 6, notes: [1.5, null] }, weight_map });
const names = async (path: string) => (await openTensors(path)).headers.map(({ name }) => name);

describe('openTensors', () => {
  it('gives single tensors, in any order, and none that is not there', async () => {
    const folder = model({ two: ['c'], one: ['a', 'b'] }, index({ a: 'one', b: 'one', c: 'two' }));
    const tensors = await openTensors(folder);
    for (const name of ['c', 'a', 'b', 'a']) expect(await tensors.tensor(name)).toEqual(tensor(name));
    await expect(tensors.tensor('toString')).rejects.toThrow('two: expected a tensor "toString", found none');
    const all: StoredTensor[] = [];
    for await (const each of tensors) all.push(each);
    expect(all).toEqual(['a', 'b', 'c'].map(tensor));
  });

  it.each(Object.keys(DTYPE_BYTES) as StoredDType[])('decodes %s piece by piece to the same bits', async (dtype) => {
    // Two pieces and a part of a third, of every bit pattern of a byte in turn.
    const count = (2 ** 21 + 8 * 1001) / DTYPE_BYTES[dtype];
    const bytes = new Uint8Array(count * DTYPE_BYTES[dtype]).map((_, i) => (dtype === 'BOOL' ? i & 1 : (i * 131) >> 3));
    const folder = model({});
    const large: StoredTensor = { name: 'w', dtype, shape: [count], bytes };
    writeFileSync(
      join(folder, 'model.safetensors'),
      encodeSafetensors({ tensors: [tensor('x'), large], metadata: {} }),
    );
    const tensors = await openTensors(folder);
    const values = new Float32Array(count + 1).fill(7);
    const pieces: number[] = [];
    await tensors.values('w', values.subarray(1), (piece) => pieces.push(piece.length));
    expect(pieces).toEqual([2 ** 20, 2 ** 20, 8008]);
    expect(values[0]).toBe(7);
    const bits = (of: Float32Array) => Buffer.from(of.slice().buffer);
    expect(Buffer.compare(bits(values.subarray(1)), bits(toFloat32(large)))).toBe(0);
  });

  it('says where a BOOL is neither 0 nor 1, in the tensor and not in a piece of it', async () => {
    const bytes = new Uint8Array(2 ** 20 + 9);
    bytes[2 ** 20 + 3] = 2;
    const folder = model({});
    const flags: StoredTensor = { name: 'w', dtype: 'BOOL', shape: [bytes.length], bytes };
    writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors({ tensors: [flags], metadata: {} }));
    const reading = (await openTensors(folder)).values('w', new Float32Array(bytes.length));
    await expect(reading).rejects.toThrow('tensor "w": expected BOOL bytes 0 or 1, found 2 at index 1048579');
  });

  it('keeps no file open, also where a loop ends early', async () => {
    const folder = model({ 'model.safetensors': ['a', 'b'] });
    const handles = () => process.getActiveResourcesInfo().filter((kind) => kind === 'FileHandle').length;
    const descriptors = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0);
    const before = [handles(), descriptors()];
    const tensors = await openTensors(folder);
    await tensors.tensor('a');
    for await (const { name } of tensors) if (name === 'a') break;
    await tensors.tensor('none').catch(() => undefined);
    expect([handles(), descriptors()]).toEqual(before);
  });

  it('refuses a file that took the place of the one whose header was read', async () => {
    const folder = model({ 'model.safetensors': ['a'] });
    const tensors = await openTensors(folder);
    rmSync(join(folder, 'model.safetensors'));
    await expect(tensors.tensor('a')).rejects.toThrow(/model\.safetensors: expected a readable file/);
    writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors({ tensors: [tensor('abc')], metadata: {} }));
    const message = 'model.safetensors: expected the file whose header was read, it was changed or replaced meanwhile';
    await expect(tensors.tensor('a')).rejects.toThrow(message);
    await expect(tensors.values('a', new Float32Array(2))).rejects.toThrow(message);
    await expect(tensors[Symbol.asyncIterator]().next()).rejects.toThrow(message);
  });

  it('reads a single file by its path or its folder, and prefers it to an index', async () => {
    const folder = model({ 'model.safetensors': ['a', 'b'] }, index({ x: 'missing' }));
    expect(await names(folder)).toEqual(['a', 'b']);
    expect(await names(join(folder, 'model.safetensors'))).toEqual(['a', 'b']);
  });

  it('reads shards in the order of the index', async () => {
    const folder = model(
      { two: ['c', '__proto__'], one: ['a'] },
      `{"weight_map": {"a": "one", "c": "two", "__proto__": "two"}}`,
    );
    const { shards, headers } = await openTensors(folder);
    expect(shards.map(({ name, tensors }) => [name, tensors.length])).toEqual([
      ['one', 1],
      ['two', 2],
    ]);
    expect(headers.map(({ name }) => name)).toEqual(['a', 'c', '__proto__']);
  });

  const bad: [string, string, string][] = [
    [
      'no weights',
      model({}),
      'expected model.safetensors or model.safetensors.index.json in this folder, found neither',
    ],
    [
      'no folder',
      join(root, 'nowhere'),
      'expected a safetensors file or a folder with model.safetensors, found nothing',
    ],
    [
      'a shard that is missing',
      model({}, index({ a: 'gone' })),
      'gone: expected a shard that model.safetensors.index.json names, found nothing',
    ],
    [
      'a tensor that is missing',
      model({ one: ['a'] }, index({ a: 'one', b: 'one' })),
      'expected tensor "b" in "one", found none there',
    ],
    [
      'a tensor outside the index',
      model({ one: ['a', 'x'] }, index({ a: 'one' })),
      'expected only tensors the index places here, found "x", missing from the index',
    ],
    [
      'a tensor in two shards',
      model({ one: ['a', 'b'], two: ['b'] }, index({ a: 'one', b: 'two' })),
      'found "b", placed in "two" by the index',
    ],
    [
      'one shard by two names',
      model({ one: ['a', 'b'] }, index({ a: 'one', b: './one' })),
      'placed in "./one" by the index',
    ],
    [
      'a name that climbs out',
      model({}, index({ a: '../one' })),
      'expected a file name inside this folder, found "../one"',
    ],
    [
      'an absolute name',
      model({}, index({ a: '/etc/hosts' })),
      'expected a file name inside this folder, found "/etc/hosts"',
    ],
    ['a NUL in a name', model({}, index({ a: 'one\0' })), 'expected a file name inside this folder'],
    [
      'a tensor indexed twice',
      model({}, '{"weight_map":{"a":"one","a":"two"}}'),
      'expected each key once, found "a" twice',
    ],
    ['a name that is a number', model({}, index(JSON.parse('{"a":1}'))), 'key "a": expected a file name, found 1'],
    ['no weight_map', model({}, '{"metadata":{}}'), 'expected a weight_map, found none'],
    ['no object', model({}, '[]'), 'expected an index object, found "["'],
    ['deep nesting', model({}, `{"metadata":${'['.repeat(100_000)}`), 'expected at most 32 levels of nesting'],
    ['a value that is not JSON', model({}, '{"metadata":NaN}'), 'expected a JSON value, found NaN'],
  ];
  it.each(bad)('refuses %s', async (_, path, message) => {
    await expect(openTensors(path)).rejects.toThrow(message);
  });

  it('keeps to the caps on shards and on bytes of all shards together', async () => {
    const folder = model({ one: ['a'], two: ['b'] }, index({ a: 'one', b: 'two' }));
    await expect(openTensors(folder, { maxShards: 1 })).rejects.toThrow('expected at most 1 shards, found 2');
    const size = encodeSafetensors({ tensors: [tensor('a')], metadata: {} }).length;
    await expect(openTensors(folder, { maxBytes: 2 * size })).resolves.toBeDefined();
    await expect(openTensors(folder, { maxBytes: 2 * size - 1 })).rejects.toThrow(
      `expected at most ${2 * size - 1} bytes in all shards together, found ${2 * size}`,
    );
  });
});
