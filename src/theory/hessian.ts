import { exactSingularValues, symmetricEigen } from '../linalg/index.js';
import { InputError } from '../registry/index.js';
import type { CurvatureKind } from '../training/index.js';
import type { Block, LossSurface } from './surface.js';

/** The largest matrix of second derivatives that is computed whole: 4,096 parameters take 134 MB and as many products. */
const LARGEST = 4096;

/** A matrix of second derivatives, whole. */
export interface CurvatureMatrix {
  /** Which rows and columns belong to which parameter. */
  readonly blocks: readonly Block[];
  /** Rows. */
  readonly size: number;
  /** `[n, n]`, row-major, symmetric. */
  readonly values: Float64Array;
}

/** A part of a {@link CurvatureMatrix}. */
export interface DenseBlock {
  /** Rows. */
  readonly rows: number;
  /** Columns. */
  readonly columns: number;
  /** `[rows, columns]`, row-major. */
  readonly values: Float64Array;
}

/**
 * A matrix of second derivatives, one product a column. Rounding leaves it symmetric up to 1e-16 of its largest element;
 * the mean with its transpose is returned.
 *
 * @throws InputError for more parameters than fit.
 */
export async function exactCurvature(
  surface: LossSurface,
  point: Float64Array,
  kind: CurvatureKind = 'hessian',
): Promise<CurvatureMatrix> {
  const { size, blocks } = surface;
  if (size > LARGEST) {
    throw new InputError(`exact curvature: expected at most ${LARGEST} parameters, got ${size}; use lanczos instead`);
  }
  const values = new Float64Array(size * size);
  const unit = new Float64Array(size);
  for (let column = 0; column < size; column++) {
    unit[column] = 1;
    values.set(await surface.product(kind, point, unit), column * size);
    unit[column] = 0;
  }
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < i; j++) {
      const mean = (values[i * size + j] + values[j * size + i]) / 2;
      values[i * size + j] = mean;
      values[j * size + i] = mean;
    }
  }
  return { blocks, size, values };
}

/** The block of two parameters, by their names. */
export function blockOf({ blocks, size, values }: CurvatureMatrix, row: string, column: string): DenseBlock {
  const [r, c] = [row, column].map((name) => {
    const block = blocks.find((each) => each.name === name);
    if (!block) throw new InputError(`block: expected a parameter ${name}, got none`);
    return block;
  });
  const part = new Float64Array(r.size * c.size);
  for (let i = 0; i < r.size; i++) {
    const from = (r.offset + i) * size + c.offset;
    part.set(values.subarray(from, from + c.size), i * c.size);
  }
  return { rows: r.size, columns: c.size, values: part };
}

/** The largest singular value of a block. */
export function spectralNorm({ rows, columns, values }: DenseBlock): number {
  return rows === 0 || columns === 0 ? 0 : exactSingularValues(values, rows, columns)[0];
}

/** Eigenvalues of a matrix of second derivatives, ascending. */
export function eigenvalues({ size, values }: CurvatureMatrix): Float64Array {
  return symmetricEigen(values, size).values;
}

/** The largest singular value of a symmetric matrix with these eigenvalues: σ_max(H), whatever its sign. */
export function largestSize(values: Float64Array): number {
  return Math.max(Math.abs(values[0]), Math.abs(values[values.length - 1]));
}
