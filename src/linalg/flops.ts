/**
 * Floating-point operations of decompositions of an `[m, n]` matrix, m ≥ n, as they are usually counted, a multiplication and an addition
 * one each: by the leading terms, iterations of an SVD at what they usually take, whatever routine computes it here.
 *
 * Source: Golub and Van Loan, Matrix Computations, fourth edition, 2013, Sections 5.2 (QR) and 8.6 (R-SVD, Figure 8.6.1).
 */

/** Of a thin SVD with all vectors, `6mn² + 20n³`. */
export function svdFlops(rows: number, columns: number): number {
  const [m, n] = sides(rows, columns);
  return 6 * m * n ** 2 + 20 * n ** 3;
}

/** Of all singular values without vectors, `2mn² + 2n³`. */
export function singularValuesFlops(rows: number, columns: number): number {
  const [m, n] = sides(rows, columns);
  return 2 * m * n ** 2 + 2 * n ** 3;
}

/** Of a thin QR with its basis, `4mn² − 4/3·n³`. */
export function qrFlops(rows: number, columns: number): number {
  const [m, n] = sides(rows, columns);
  return 4 * m * n ** 2 - (4 / 3) * n ** 3;
}

/** The longer side first. */
function sides(rows: number, columns: number): readonly [number, number] {
  return rows >= columns ? [rows, columns] : [columns, rows];
}
