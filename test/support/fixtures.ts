import { readFileSync } from 'node:fs';
import type { DType, TypedArray } from '../../src/graph/index.js';

/** An array as the oracle scripts store it: little-endian bytes in base64. */
export interface StoredArray {
  dtype: DType;
  shape: number[];
  data: string;
}

/** The typed array of a stored one. */
export function decodeArray({ dtype, data }: StoredArray): TypedArray {
  const bytes = new Uint8Array(Buffer.from(data, 'base64')).buffer;
  switch (dtype) {
    case 'float32':
      return new Float32Array(bytes);
    case 'float64':
      return new Float64Array(bytes);
    case 'int32':
      return new Int32Array(bytes);
    case 'int64':
      return new BigInt64Array(bytes);
    default:
      return new Uint8Array(bytes);
  }
}

/** Reads a JSON fixture of test/fixtures. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8')) as T;
}
