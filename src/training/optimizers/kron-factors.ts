import { normLowerBound, transpose } from './kron-kernels.js';
import { multiplyByOwnTranspose, multiplyByTriangle, solveTriangle } from './products.js';
import { smallestNormal } from './psgd.js';

/** The part of a Kronecker product that acts on one dimension of a tensor. */
export interface KronFactor {
  /** Length of the dimension. */
  readonly size: number;
  /** Whether it is an upper triangular matrix, or the diagonal of one. */
  readonly dense: boolean;
  /** `[size, size]` or `[size]`. */
  readonly values: Float32Array;
}

/** Which dimensions get a triangular matrix: all but those of length 1, above `maxSize`, or far longer than the others. */
export function denseDimensions(shape: readonly number[], maxSize: number, maxSkew: number): boolean[] {
  const second = shape.toSorted((a, b) => b - a).at(1) ?? 1;
  return shape.map((size) => size > 1 && size <= maxSize && size <= maxSkew * second);
}

/** How many values the factors of a tensor take together. */
export function factorLength(shape: readonly number[], dense: readonly boolean[]): number {
  return shape.reduce((sum, size, i) => sum + (dense[i] ? size * size : size), 0);
}

/** The factors as views of one array, in the order of the dimensions. */
export function factorsOf(q: Float32Array, shape: readonly number[], dense: readonly boolean[]): KronFactor[] {
  let at = 0;
  return shape.map((size, i) => {
    const start = at;
    at += dense[i] ? size * size : size;
    return { size, dense: dense[i], values: q.subarray(start, at) };
  });
}

/** Sets Q to a multiple of the identity. */
export function fillIdentity(factors: readonly KronFactor[], scale: number): void {
  const each = scale ** (1 / factors.length);
  for (const { size, dense, values } of factors) {
    values.fill(dense ? 0 : each);
    if (dense) for (let i = 0; i < size; i++) values[i * size + i] = each;
  }
}

/** Gives all factors the same largest absolute value and leaves their product as it is, against over- and underflow. */
export function balance(factors: readonly KronFactor[]): void {
  const largest = factors.map(({ values }) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  const mean = largest.reduce((product, value) => product * value, 1) ** (1 / factors.length);
  factors.forEach(({ values }, i) => {
    const gain = mean / largest[i];
    for (let j = 0; j < values.length; j++) values[j] *= gain;
  });
}

/** `Q`, `Qᵀ`, or `Q⁻ᵀ`. */
type Form = 'plain' | 'transposed' | 'inverse transposed';

/**
 * Applies and fits `Q = Q₁ ⊗ Q₂ ⊗ …` on tensors. A tensor is held as the matrix of its leading dimension by all others;
 * transposing that matrix moves the leading dimension to the end, so that each dimension leads once.
 */
export class KronArithmetic {
  readonly #buffers = new Map<string, Float64Array>();

  /** `QᵀQ x`, written over `x`. */
  async precondition(factors: readonly KronFactor[], x: Float64Array): Promise<void> {
    await this.#apply(factors, x, 'plain');
    await this.#apply(factors, x, 'transposed');
  }

  /**
   * One step of each factor towards `P h hᵀ P = v vᵀ` for `P = QᵀQ`:
   *
   *     A = Q h,  B = Q⁻ᵀ v
   *     S = A₍ᵢ₎ A₍ᵢ₎ᵀ,  T = B₍ᵢ₎ B₍ᵢ₎ᵀ     (₍ᵢ₎: dimension i by all others)
   *     Qᵢ = Qᵢ − rate / |S + T| · triu(S − T) Qᵢ
   *
   * The probe is written over.
   */
  async fitToProbe(
    factors: readonly KronFactor[],
    { v, h }: { v: Float64Array; h: Float64Array },
    rate: number,
  ): Promise<void> {
    await this.#apply(factors, h, 'plain');
    await this.#apply(factors, v, 'inverse transposed');
    for (const factor of factors) {
      if (factor.dense) await this.#fitDense(factor, v, h, rate);
      else fitDiagonal(factor, v, h, rate);
      this.#rotate(h, factor.size);
      this.#rotate(v, factor.size);
    }
  }

  async #fitDense({ size: n, values }: KronFactor, v: Float64Array, h: Float64Array, rate: number): Promise<void> {
    const s = this.#buffer('s', n * n);
    const t = this.#buffer('t', n * n);
    await multiplyByOwnTranspose(h, n, h.length / n, s);
    await multiplyByOwnTranspose(v, n, v.length / n, t);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        const at = i * n + j;
        const difference = j < i ? 0 : s[at] - t[at];
        s[at] += t[at];
        t[at] = difference;
      }
    }
    const step = rate / (normLowerBound(s, n, this.#buffer('vectors', 2 * n)) + smallestNormal);
    const q = this.#buffer('q', n * n);
    q.set(values);
    await multiplyByTriangle(t, n, true, q, n, s);
    for (let i = 0; i < n; i++) for (let at = i * n + i; at < (i + 1) * n; at++) values[at] = q[at] - step * s[at];
  }

  async #apply(factors: readonly KronFactor[], x: Float64Array, form: Form): Promise<void> {
    for (const factor of factors) {
      if (factor.dense) await this.#applyDense(factor, x, form);
      else applyDiagonal(factor, x, form);
      this.#rotate(x, factor.size);
    }
  }

  async #applyDense({ size: n, values }: KronFactor, x: Float64Array, form: Form): Promise<void> {
    const width = x.length / n;
    const q = this.#buffer('q', n * n);
    if (form === 'plain') q.set(values);
    else transpose(values, n, n, q);
    if (form === 'inverse transposed') {
      await solveTriangle(q, n, x, width);
      return;
    }
    const out = this.#buffer('out', x.length);
    await multiplyByTriangle(q, n, form === 'plain', x, width, out);
    x.set(out);
  }

  /** Moves the leading dimension, of the given length, to the end. */
  #rotate(x: Float64Array, leading: number): void {
    if (leading === 1 || leading === x.length) return;
    const out = this.#buffer('out', x.length);
    transpose(x, leading, x.length / leading, out);
    x.set(out);
  }

  #buffer(name: string, length: number): Float64Array {
    const known = this.#buffers.get(name);
    if (known && known.length >= length) return known.length === length ? known : known.subarray(0, length);
    const made = new Float64Array(length);
    this.#buffers.set(name, made);
    return made;
  }
}

function applyDiagonal({ size, values }: KronFactor, x: Float64Array, form: Form): void {
  const width = x.length / size;
  for (let i = 0; i < size; i++) {
    const gain = form === 'inverse transposed' ? 1 / values[i] : values[i];
    for (let at = i * width; at < (i + 1) * width; at++) x[at] *= gain;
  }
}

function fitDiagonal({ size, values }: KronFactor, v: Float64Array, h: Float64Array, rate: number): void {
  const width = h.length / size;
  const squares = (x: Float64Array, i: number) => {
    let sum = 0;
    for (let at = i * width; at < (i + 1) * width; at++) sum += x[at] * x[at];
    return sum;
  };
  let largest = 0;
  for (let i = 0; i < size; i++) largest = Math.max(largest, squares(h, i) + squares(v, i));
  const step = rate / (largest + smallestNormal);
  for (let i = 0; i < size; i++) values[i] -= step * (squares(h, i) - squares(v, i)) * values[i];
}
