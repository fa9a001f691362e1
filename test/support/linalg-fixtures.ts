import { readFileSync } from 'node:fs';

/** Stored values, or the name of a matrix that the oracle script and {@link hashed} evaluate to the same bits. */
type Source =
  | { f64: string }
  | { f32: string }
  | { hash: number; exponent?: number; rowExponent?: number; columnExponent?: number };

export interface MatrixFixture {
  name: string;
  rows: number;
  columns: number;
  source: Source;
  sigma: number[];
}

/** Reads `test/fixtures/<name>.json`. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'));
}

/** Entries in [-1, 1) of 24 bits: an integer finalizer over (index, seed), as in tools/oracles/linalg.py. */
export function hashed(seed: number, length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => {
    let x = (Math.imul(i, 0x9e3779b1) + seed) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
    return (x >>> 8) / 2 ** 23 - 1;
  });
}

/** The matrix of a fixture in double precision, `[rows, columns]`. */
export function matrixOf({ rows, columns, source }: Pick<MatrixFixture, 'rows' | 'columns' | 'source'>): Float64Array {
  if ('f64' in source) return new Float64Array(bytes(source.f64));
  if ('f32' in source) return Float64Array.from(new Float32Array(bytes(source.f32)));
  const { hash, exponent = 0, rowExponent = 0, columnExponent = 0 } = source;
  return hashed(hash, rows * columns).map((value, i) => {
    const power = exponent + rowExponent * Math.floor(i / columns) + columnExponent * (i % columns);
    return value * 2 ** power;
  });
}

function bytes(base64: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(base64, 'base64')).buffer;
}

/** The largest |actual − expected| / scale with its index, to assert on and to print. */
export function largestError(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  scale: (index: number) => number,
): { error: number; index: number } {
  if (actual.length !== expected.length) return { error: Number.POSITIVE_INFINITY, index: -1 };
  let worst = { error: 0, index: 0 };
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(actual[index] - expected[index]);
    const error = difference === 0 ? 0 : difference / scale(index);
    if (!(error <= worst.error)) worst = { error, index };
  }
  return worst;
}

/** The largest deviation of QᵀQ from the identity, Q `[rows, columns]`. */
export function orthonormalityError(q: ArrayLike<number>, rows: number, columns: number): number {
  let worst = 0;
  for (let a = 0; a < columns; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = a === b ? -1 : 0;
      for (let i = 0; i < rows; i++) sum += q[i * columns + a] * q[i * columns + b];
      if (!(Math.abs(sum) <= worst)) worst = Math.abs(sum);
    }
  }
  return worst;
}

/** `a · diag(scale) · bᵀ` for a `[rows, inner]`, b `[columns, inner]`. */
export function product(
  a: ArrayLike<number>,
  scale: ArrayLike<number>,
  b: ArrayLike<number>,
  rows: number,
  columns: number,
): Float64Array {
  const inner = scale.length;
  return Float64Array.from({ length: rows * columns }, (_, at) => {
    const i = Math.floor(at / columns);
    const j = at % columns;
    let sum = 0;
    for (let p = 0; p < inner; p++) sum += a[i * inner + p] * scale[p] * b[j * inner + p];
    return sum;
  });
}
