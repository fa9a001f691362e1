import { InputError } from '../registry/index.js';
import { RandomStream } from './random.js';

/**
 * Primitive polynomials (all coefficients, as bits) and first direction numbers of dimensions 2 to 12; the first dimension has
 * none.
 *
 * @see Joe and Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci. Comput. 30 (2008),
 * file new-joe-kuo-6.21201.
 */
const directions: readonly { readonly polynomial: number; readonly first: readonly number[] }[] = [
  { polynomial: 3, first: [1] },
  { polynomial: 7, first: [1, 3] },
  { polynomial: 11, first: [1, 3, 1] },
  { polynomial: 13, first: [1, 1, 1] },
  { polynomial: 19, first: [1, 1, 3, 3] },
  { polynomial: 25, first: [1, 3, 5, 13] },
  { polynomial: 37, first: [1, 1, 5, 5, 17] },
  { polynomial: 41, first: [1, 1, 5, 5, 5] },
  { polynomial: 47, first: [1, 1, 7, 11, 19] },
  { polynomial: 55, first: [1, 1, 5, 1, 1] },
  { polynomial: 59, first: [1, 1, 1, 3, 11] },
];

/** Binary digits of a coordinate. */
const bits = 30;

/** Most dimensions of a sequence. */
export const mostSobolDimensions = directions.length + 1;

/** Direction numbers of one dimension, as whole numbers of 2^-bits. */
function directionNumbers(dimension: number): number[] {
  if (dimension === 0) return Array.from({ length: bits }, (_, i) => 2 ** (bits - 1 - i));
  const { polynomial, first } = directions[dimension - 1];
  const degree = first.length;
  const m = [...first];
  for (let i = degree; i < bits; i++) {
    let next = m[i - degree] ^ (m[i - degree] << degree);
    for (let k = 1; k < degree; k++) if ((polynomial >> (degree - k)) & 1) next ^= m[i - k] << k;
    m.push(next);
  }
  return m.map((value, i) => value * 2 ** (bits - 1 - i));
}

/**
 * The first points of a Sobol sequence in the unit cube, in the order of Gray codes: in each dimension, every 2^m of them that
 * follow one another from a multiple of 2^m on lie one in each of 2^m equal intervals, and pairs of dimensions fill boxes as evenly.
 *
 * @param shift - Seed of a random shift of each dimension, modulo 1, which makes each point uniform and keeps distances: three
 *   points are a quarter apart at least, where scrambled digits may put two of them side by side. Default none: the first point is 0.
 * @returns `[count][dimensions]`, from 0 to below 1.
 * @throws InputError for more dimensions than there are direction numbers.
 * @see Cranley and Patterson, "Randomization of number theoretic methods for multiple integration", 1976.
 */
export function sobolPoints(count: number, dimensions: number, { shift }: { shift?: number } = {}): number[][] {
  if (!(dimensions >= 1 && dimensions <= mostSobolDimensions)) {
    throw new InputError(`Sobol points: expected 1 to ${mostSobolDimensions} dimensions, found ${dimensions}`);
  }
  const columns = Array.from({ length: dimensions }, (_, dimension) => {
    const v = directionNumbers(dimension);
    const by = shift === undefined ? 0 : new RandomStream(shift, `sobol shift ${dimension}`).uniform();
    return Array.from({ length: count }, (_, index) => {
      let x = 0;
      for (let gray = index ^ (index >> 1), i = 0; gray > 0; gray >>= 1, i++) if (gray & 1) x ^= v[i];
      return (x / 2 ** bits + by) % 1;
    });
  });
  return Array.from({ length: count }, (_, index) => columns.map((column) => column[index]));
}
