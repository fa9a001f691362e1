import { ProgramCache } from '../engine/index.js';
import { Graph, gemm } from '../graph/index.js';

/** Numbers of matrices that are multiplied, all of one type. */
type Real = Float32Array | Float64Array;

/** A matrix that is multiplied. */
export interface Operand<Values extends Real> {
  /** Row-major. */
  readonly values: Values;
  /** `[rows, columns]` of these. */
  readonly shape: readonly [rows: number, columns: number];
  /** Whether what it is used as is their transpose; default false. */
  readonly isTransposed?: boolean;
}

/** Small programs that the whole process shares. */
let shared: ProgramCache | undefined;
/** The last of them to run: they write to arrays of their own, so that the next one waits until these were read. */
let last: Promise<unknown> = Promise.resolve();

/**
 * `out = scale · a · b + plus` on the engine, whose kernels are ten to a hundred times as fast as loops here, on one thread, so that it is
 * the same bits whatever the number of threads is.
 *
 * @param out - Receives the product, of as many rows as a and columns as b are used as; it may be `plus`, and neither a nor b.
 * @param options - `scale`: default 1. `plus`: of the shape of the product; default nothing.
 */
export function matrixProduct<Values extends Real>(
  a: Operand<Values>,
  b: Operand<Values>,
  out: Values,
  { scale = 1, plus }: { scale?: number; plus?: Values } = {},
): Promise<void> {
  const run = async () => {
    shared ??= new ProgramCache({ threads: 1 });
    const dtype = a.values instanceof Float64Array ? 'float64' : 'float32';
    const [transA, transB] = [a.isTransposed ?? false, b.isTransposed ?? false];
    const key = JSON.stringify([dtype, a.shape, transA, b.shape, transB, scale, plus !== undefined]);
    const program = await shared.get(key, () => {
      const graph = new Graph();
      const [left, right] = [graph.input('a', a.shape, dtype), graph.input('b', b.shape, dtype)];
      const shape = [a.shape[transA ? 1 : 0], b.shape[transB ? 0 : 1]];
      const more = plus && graph.input('plus', shape, dtype);
      return { product: gemm(left, right, more, { transA, transB, alpha: scale }) };
    });
    const feeds = { a: a.values, b: b.values, ...(plus && { plus }) };
    out.set((await program.run(feeds)).product as Values);
  };
  const done = last.then(run);
  last = done.catch(() => undefined);
  return done;
}
