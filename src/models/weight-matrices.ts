import { matchesAny, OptionError } from '../registry/index.js';

/** The two sides of a weight that is seen as a matrix. */
export interface MatrixShape {
  /** First axis: outputs. */
  readonly rows: number;
  /** All other axes together: a convolution kernel counts as `out × in·kh·kw`. */
  readonly columns: number;
}

/** A weight seen as the matrix whose singular values are its size in every direction. */
export interface WeightMatrix extends MatrixShape {
  /** Name of the weight. */
  readonly name: string;
}

/** How a tensor is seen as a matrix: the first axis against all others; undefined for fewer than two axes and empty ones. */
export function matrixShape(shape: readonly number[]): MatrixShape | undefined {
  if (shape.length < 2 || shape.includes(0)) return undefined;
  return { rows: shape[0], columns: shape.slice(1).reduce((product, length) => product * length, 1) };
}

/**
 * The weight matrices of a model, in the order of its state dict: every weight of two or more axes whose name matches
 * one of `include` and none of `exclude`. Buffers have at most one axis; a weight whose first axis is 1 is a vector (class
 * token, position embeddings).
 *
 * @param options - Patterns in which `*` stands for any characters: `include` (default all), `exclude` (default none).
 * @throws OptionError when no matrix is left.
 */
export function weightMatrices(
  weights: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  { include = ['*'], exclude = [] }: { include?: readonly string[]; exclude?: readonly string[] } = {},
): WeightMatrix[] {
  const wanted = matchesAny(include);
  const unwanted = matchesAny(exclude);
  const found = [...weights].flatMap(([name, { shape }]) => {
    const matrix = matrixShape(shape);
    return matrix && matrix.rows > 1 && wanted(name) && !unwanted(name) ? [{ name, ...matrix }] : [];
  });
  if (found.length === 0) {
    const left = exclude.length > 0 ? ` without ${exclude.join(', ')}` : '';
    const got = `${include.join(', ')}${left}`;
    throw new OptionError('include', `expected a pattern that matches a weight matrix, got ${got}`);
  }
  return found;
}
