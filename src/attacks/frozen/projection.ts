import { RandomStream } from '../../linalg/index.js';

/** Numbers of the result that each number of a row goes to. */
const spread = 8;

/**
 * A random projection of rows of `width` numbers to `kept`: each number is added to 8 of them with a random sign, by a fixed seed,
 * which keeps lengths and angles about as a dense projection does and costs 8 additions a number.
 *
 * @see Kane and Nelson, "Sparser Johnson-Lindenstrauss Transforms", J. ACM 61, 2014.
 */
export function sparseProjection(width: number, kept: number): (rows: Float32Array) => Float32Array {
  const random = new RandomStream(0, `projection of ${width} to ${kept}`);
  const places = new Uint32Array(spread * width);
  const signs = new Float32Array(spread * width);
  for (let at = 0; at < places.length; at++) {
    places[at] = Math.floor(random.uniform() * kept);
    signs[at] = (random.uniform() < 0.5 ? -1 : 1) / Math.sqrt(spread);
  }
  return (rows) => {
    const size = rows.length / width;
    const projected = new Float32Array(size * kept);
    for (let row = 0; row < size; row++) {
      for (let i = 0; i < width; i++) {
        const value = rows[row * width + i];
        for (let at = spread * i; at < spread * (i + 1); at++) projected[row * kept + places[at]] += signs[at] * value;
      }
    }
    return projected;
  };
}
