import { RandomStream, tridiagonalEigen } from '../linalg/index.js';
import { InputError } from '../registry/index.js';

/** A symmetric matrix as what it does to a vector; the result is a new array. */
export type SymmetricProduct = (vector: Float64Array) => Promise<Float64Array>;

/** What Lanczos' method makes of a matrix: `Qᵀ A Q` with orthonormal columns Q of the Krylov space of a start. */
export interface Tridiagonal {
  /** `[k]`. */
  readonly diagonal: readonly number[];
  /** `[k]`; the last leads out of the space, 0 where it is invariant. */
  readonly off: readonly number[];
  /** The columns of Q: k orthonormal vectors, the first along the start. */
  readonly basis: readonly Float64Array[];
}

/** An eigenvalue with a bound on its error: the residual `|A v − θ v|` of its unit vector. */
export interface RitzValue {
  /** θ. */
  readonly value: number;
  /** An eigenvalue is within this distance. */
  readonly error: number;
}

/** The ends of a spectrum. */
export interface Extremes {
  /** Largest eigenvalue. */
  readonly largest: RitzValue;
  /** Least eigenvalue. */
  readonly smallest: RitzValue;
  /** Products that were taken. */
  readonly steps: number;
}

/** Options of {@link extremeEigenvalues}. */
export interface ExtremesOptions {
  /** Decides the start. */
  seed?: number;
  /** Residual at which an end is taken as found, relative to the largest eigenvalue in size; default 1e-6. */
  tolerance?: number;
  /** Products at most; default 300. */
  maxSteps?: number;
}

/** A new coupling below this share of the matrix' size is rounding: the Krylov space is invariant. */
const INVARIANT = 1e-13;

/** Lanczos' method step by step, each new vector made orthogonal to all before, twice: as if computed without rounding. */
class LanczosProcess {
  readonly diagonal: number[] = [];
  readonly off: number[] = [];
  readonly basis: Float64Array[] = [];
  #next: Float64Array | undefined;
  #size = 0;

  constructor(
    readonly product: SymmetricProduct,
    start: Float64Array,
  ) {
    this.#next = normalized(start);
  }

  /** @returns Whether there is a further step to take. */
  async step(): Promise<boolean> {
    const q = this.#next;
    if (!q) return false;
    this.basis.push(q);
    const w = await this.product(q);
    const length = norm(w);
    if (!Number.isFinite(length))
      throw new InputError(`lanczos: expected a finite product, got one of length ${length}`);
    this.#size = Math.max(this.#size, length);
    this.diagonal.push(dot(w, q));
    for (const _ of [1, 2]) for (const b of this.basis) subtract(w, b, dot(w, b));
    const rest = norm(w);
    const goesOn = rest > INVARIANT * this.#size && this.basis.length < q.length;
    this.off.push(goesOn ? rest : 0);
    this.#next = goesOn ? normalized(w) : undefined;
    return goesOn;
  }
}

/**
 * The tridiagonal matrix of so many steps of Lanczos' method, fewer where the Krylov space ends.
 *
 * @param start - Any vector but 0; it is normalized.
 */
export async function lanczos(product: SymmetricProduct, start: Float64Array, steps: number): Promise<Tridiagonal> {
  const process = new LanczosProcess(product, start);
  for (let step = 0; step < steps && (await process.step()); step++);
  return process;
}

/**
 * Largest and least eigenvalue of a symmetric matrix of which only products are known.
 *
 * @param size - Length of its vectors.
 * @returns Both with bounds on their errors; look at them where `maxSteps` ran out.
 * @throws InputError when a product is not finite.
 * @see Golub and Van Loan, "Matrix Computations", section 10.1.
 */
export async function extremeEigenvalues(
  product: SymmetricProduct,
  size: number,
  { seed = 1, tolerance = 1e-6, maxSteps = 300 }: ExtremesOptions = {},
): Promise<Extremes> {
  const process = new LanczosProcess(product, normalVector(size, seed, 0));
  for (let step = 1; ; step++) {
    const goesOn = await process.step();
    const { values, last } = tridiagonalEigen(process.diagonal, process.off);
    const coupling = process.off[step - 1];
    const at = (index: number): RitzValue => ({ value: values[index], error: Math.abs(coupling * last[index]) });
    const [smallest, largest] = [at(0), at(values.length - 1)];
    const bound = tolerance * Math.max(Math.abs(smallest.value), Math.abs(largest.value));
    if (!goesOn || step >= maxSteps || (smallest.error <= bound && largest.error <= bound)) {
      return { smallest, largest, steps: step };
    }
  }
}

/** Independent standard normal numbers. */
export function normalVector(size: number, seed: number, index: number): Float64Array {
  const stream = new RandomStream(seed, 'lanczos start', index);
  return Float64Array.from({ length: size }, () => stream.normal());
}

function normalized(vector: Float64Array): Float64Array {
  const length = norm(vector);
  if (!(length > 0 && length < Number.POSITIVE_INFINITY)) {
    throw new InputError(`lanczos: expected a finite vector other than 0, got one of length ${length}`);
  }
  return vector.map((value) => value / length);
}

/** `⟨a, b⟩`. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Euclidean length. */
export function norm(vector: Float64Array): number {
  return Math.sqrt(dot(vector, vector));
}

/** `a −= factor · b`. */
function subtract(a: Float64Array, b: Float64Array, factor: number): void {
  for (let i = 0; i < a.length; i++) a[i] -= factor * b[i];
}
