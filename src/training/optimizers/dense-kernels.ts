/**
 * `out = a · x`, two rows and four columns a pass; sums in float64.
 *
 * @param a - `[rows, inner]`, row-major as all.
 * @param x - `[inner, width]`.
 * @param out - Receives `[rows, width]`; neither a nor x.
 */
export function multiply(
  a: Float64Array,
  rows: number,
  inner: number,
  x: Float64Array,
  width: number,
  out: Float64Array,
): void {
  for (let i = 0; i < rows; i += 2) {
    // The last row of an odd number is computed twice and stored twice.
    const paired = i + 1 < rows;
    const row0 = i * inner;
    const row1 = paired ? row0 + inner : row0;
    const to0 = i * width;
    const to1 = paired ? to0 + width : to0;
    let c = 0;
    for (; c + 4 <= width; c += 4) {
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      let t0 = 0;
      let t1 = 0;
      let t2 = 0;
      let t3 = 0;
      for (let k = 0, at = c; k < inner; k++, at += width) {
        const a0 = a[row0 + k];
        const a1 = a[row1 + k];
        const x0 = x[at];
        const x1 = x[at + 1];
        const x2 = x[at + 2];
        const x3 = x[at + 3];
        s0 += a0 * x0;
        s1 += a0 * x1;
        s2 += a0 * x2;
        s3 += a0 * x3;
        t0 += a1 * x0;
        t1 += a1 * x1;
        t2 += a1 * x2;
        t3 += a1 * x3;
      }
      out[to0 + c] = s0;
      out[to0 + c + 1] = s1;
      out[to0 + c + 2] = s2;
      out[to0 + c + 3] = s3;
      out[to1 + c] = t0;
      out[to1 + c + 1] = t1;
      out[to1 + c + 2] = t2;
      out[to1 + c + 3] = t3;
    }
    for (; c < width; c++) {
      let s = 0;
      let t = 0;
      for (let k = 0, at = c; k < inner; k++, at += width) {
        s += a[row0 + k] * x[at];
        t += a[row1 + k] * x[at];
      }
      out[to0 + c] = s;
      out[to1 + c] = t;
    }
  }
}

/** Working arrays by name and length, so that a step allocates none. */
export class Workspace {
  readonly #arrays = new Map<string, Float64Array>();

  /** An array of this name and length; what it holds is what was last written to it. */
  take(name: string, length: number): Float64Array {
    const key = `${name} ${length}`;
    const known = this.#arrays.get(key);
    if (known) return known;
    const made = new Float64Array(length);
    this.#arrays.set(key, made);
    return made;
  }
}
