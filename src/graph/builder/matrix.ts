import type { Tensor } from '../graph.js';

/** Matrix product of `[..., m, k]` and `[..., k, n]`, batch axes broadcast: `[..., m, n]`. */
export function matMul(a: Tensor, b: Tensor): Tensor {
  return a.graph.apply('MatMul', [a, b], {})[0];
}

/** Options of {@link gemm}. */
export interface GemmOptions {
  /** Factor of the product; default 1. */
  alpha?: number;
  /** Factor of C; default 1. */
  beta?: number;
  /** Whether A is used transposed; default false. */
  transA?: boolean;
  /** Whether B is used transposed; default false. */
  transB?: boolean;
}

/** `alpha · A·B + beta · C` of matrices, each of A and B transposed on demand; C broadcasts to `[m, n]`. */
export function gemm(
  a: Tensor,
  b: Tensor,
  c?: Tensor,
  { alpha = 1, beta = 1, transA = false, transB = false }: GemmOptions = {},
): Tensor {
  return a.graph.apply('Gemm', c ? [a, b, c] : [a, b], { alpha, beta, transA, transB })[0];
}
