import type { StateDict } from '../../models/index.js';
import { InputError, matchesAny } from '../../registry/index.js';

/** A weight seen as the matrix whose singular values a lock raises. */
export interface WeightMatrix {
  /** Name of the weight. */
  readonly name: string;
  /** First axis: outputs. */
  readonly rows: number;
  /** All other axes together: a convolution kernel counts as `out × in·kh·kw`. */
  readonly columns: number;
}

/**
 * The weight matrices of a model, in the order of its state dict: every weight of two or more axes whose name matches
 * one of `include` and none of `exclude`. Buffers have at most one axis; a weight whose first axis is 1 is a vector (class
 * token, position embeddings).
 *
 * @param options - Patterns in which `*` stands for any characters: `include` (default all), `exclude` (default none).
 * @throws InputError when no matrix is left.
 */
export function weightMatrices(
  weights: StateDict,
  { include = ['*'], exclude = [] }: { include?: readonly string[]; exclude?: readonly string[] } = {},
): WeightMatrix[] {
  const wanted = matchesAny(include);
  const unwanted = matchesAny(exclude);
  const found = [...weights]
    .filter(([, { shape, data }]) => shape.length >= 2 && shape[0] > 1 && data.length > 0)
    .filter(([name]) => wanted(name) && !unwanted(name))
    .map(([name, { shape, data }]) => ({ name, rows: shape[0], columns: data.length / shape[0] }));
  if (found.length === 0) {
    throw new InputError(
      `matrices: expected a pattern that matches a weight matrix, got ${include.join(', ')} without ${exclude.join(', ') || 'nothing'}`,
    );
  }
  return found;
}

/**
 * Whether the products with a matrix are left to the engine. One warm update with a block of 8, milliseconds, one thread:
 * 512×4608: 2.5 instead of 13.7 in TypeScript; 128×1152: 0.4 instead of 1.0; 64×576: the same.
 */
export function isLarge({ rows, columns }: Pick<WeightMatrix, 'rows' | 'columns'>): boolean {
  return rows * columns >= 50_000;
}
