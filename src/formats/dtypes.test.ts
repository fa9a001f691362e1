import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { InputError } from '../registry/index.js';
import { fromFloat32, parseSafetensors, type StoredDType, type StoredTensor, toFloat32 } from './index.js';

const fixtures = new URL('../../test/fixtures/', import.meta.url);
const oracle: { digests: Record<string, string>; casts: Record<'I64' | 'U64' | 'F64', [string, number][]> } =
  JSON.parse(readFileSync(new URL('dtypes.json', fixtures), 'utf8'));
const rounding = new Map(
  parseSafetensors(
    new Uint8Array(readFileSync(new URL('dtypes-rounding.safetensors', fixtures))),
    'dtypes-rounding',
  ).tensors.map((tensor) => [tensor.name, tensor]),
);
const reduced: StoredDType[] = ['F16', 'BF16', 'F8_E4M3', 'F8_E5M2'];

function tensor(dtype: StoredDType, array: ArrayBufferView): StoredTensor {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const width = { F16: 2, BF16: 2, I64: 8, U64: 8, F64: 8, F32: 4 }[dtype as string] ?? 1;
  return { name: 't', dtype, shape: [bytes.length / width], bytes };
}

function allPatterns(dtype: StoredDType): StoredTensor {
  return tensor(
    dtype,
    dtype.startsWith('F8') ? Uint8Array.from(Array(256).keys()) : Uint16Array.from(Array(65536).keys()),
  );
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

describe('toFloat32', () => {
  it.each(reduced)('widens every %s pattern as numpy and torch do', (dtype) => {
    const values = toFloat32(allPatterns(dtype));
    const bits = bitsOf(values).map((pattern, i) => (Number.isNaN(values[i]) ? 0x7fc00000 : pattern));
    expect(createHash('sha256').update(new Uint8Array(bits.buffer)).digest('hex')).toBe(oracle.digests[dtype]);
  });

  it.each(['I64', 'U64', 'F64'] as const)('rounds %s once, as a C cast does', (dtype) => {
    const cases = oracle.casts[dtype];
    const raw =
      dtype === 'I64'
        ? BigInt64Array.from(cases, ([value]) => BigInt(value))
        : BigUint64Array.from(cases, ([value]) => BigInt(value));
    expect(Array.from(bitsOf(toFloat32(tensor(dtype, raw))))).toEqual(cases.map(([, bits]) => bits));
  });

  it('reads bytes at any address and leaves them alone', () => {
    const file = new Uint8Array(9);
    new DataView(file.buffer).setFloat32(1, -1.5, true);
    new DataView(file.buffer).setFloat32(5, 3e-39, true);
    const values = toFloat32({ name: 't', dtype: 'F32', shape: [2], bytes: file.subarray(1) });
    expect(Array.from(values)).toEqual([-1.5, Math.fround(3e-39)]);
    values[0] = 7;
    expect(new DataView(file.buffer).getFloat32(1, true)).toBe(-1.5);
  });

  it('reads the pooled Buffers of Node without their neighbours', () => {
    const pooled = Buffer.from([0, 0, 128, 63]);
    expect(Array.from(toFloat32({ name: 't', dtype: 'F32', shape: [], bytes: pooled }))).toEqual([1]);
  });

  it('refuses bytes that do not fit the shape, and BOOL bytes other than 0 and 1', () => {
    const bytes = Uint8Array.of(0, 1, 2, 1);
    expect(() => toFloat32({ name: 'w', dtype: 'F32', shape: [2], bytes })).toThrow(
      'tensor "w": expected 8 bytes for F32 [2], found 4',
    );
    expect(() => toFloat32({ name: 'w', dtype: 'BOOL', shape: [4], bytes })).toThrow(
      'tensor "w": expected BOOL bytes 0 or 1, found 2 at index 2',
    );
  });
});

describe('fromFloat32', () => {
  it.each(reduced)('rounds to %s as numpy and torch do: random bits, midpoints, subnormals, overflow', (dtype) => {
    const input = rounding.get('input');
    const expected = rounding.get(dtype);
    if (!input || !expected) throw new Error('fixture is incomplete');
    const values = toFloat32(input);
    const found = fromFloat32(values, expected);
    const wanted = toFloat32(expected);
    const got = toFloat32(found);
    const width = expected.bytes.length / values.length;
    const wrong: string[] = [];
    for (let i = 0; i < values.length; i++) {
      const same = found.bytes
        .subarray(i * width, (i + 1) * width)
        .every((byte, k) => byte === expected.bytes[i * width + k]);
      // Which NaN stands for NaN is each library's choice.
      if (!same && !(Number.isNaN(got[i]) && Number.isNaN(wanted[i]))) {
        wrong.push(`index ${i}: ${values[i]} became ${got[i]}, expected ${wanted[i]}`);
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(values.length).toBeGreaterThan(15_000);
  });

  it.each(['F16', 'BF16', 'F8_E5M2'] as const)('gives back every %s pattern, NaN payloads included', (dtype) => {
    const stored = allPatterns(dtype);
    expect(fromFloat32(toFloat32(stored), stored).bytes).toEqual(stored.bytes);
  });

  it('stores integers exactly, and refuses what would lose something', () => {
    const like = (dtype: StoredDType, count: number) => ({ name: 'n', dtype, shape: [count] });
    for (const dtype of ['I64', 'I32', 'I16', 'I8', 'F64', 'F32'] as const) {
      const values = Float32Array.of(-128, 0, 127);
      expect(Array.from(toFloat32(fromFloat32(values, like(dtype, 3))))).toEqual([-128, 0, 127]);
    }
    for (const dtype of ['U64', 'U32', 'U16', 'U8', 'BOOL'] as const) {
      expect(Array.from(toFloat32(fromFloat32(Float32Array.of(0, 1), like(dtype, 2))))).toEqual([0, 1]);
    }
    const store = (value: number, dtype: StoredDType) => () => fromFloat32(Float32Array.of(value), like(dtype, 1));
    expect(store(-(2 ** 63), 'I64')).not.toThrow();
    expect(store(2 ** 63, 'U64')).not.toThrow();
    expect(store(0.5, 'I64')).toThrow(
      'tensor "n": expected an integer from -2^63 to below 2^63 for I64, found 0.5 at index 0',
    );
    const refused: [number, StoredDType][] = [
      [2 ** 63, 'I64'],
      [2 ** 64, 'U64'],
      [-1, 'U8'],
      [256, 'U8'],
      [128, 'I8'],
      [-129, 'I8'],
      [2, 'BOOL'],
      [Number.NaN, 'I32'],
      [Number.POSITIVE_INFINITY, 'I16'],
    ];
    for (const [value, dtype] of refused) expect(store(value, dtype)).toThrow(InputError);
  });

  it('refuses another number of values than the shape has elements', () => {
    expect(() => fromFloat32(new Float32Array(5), { name: 'w', dtype: 'F16', shape: [2, 3] })).toThrow(
      'tensor "w": expected as many values as shape [2,3] has elements, found 5',
    );
  });
});
