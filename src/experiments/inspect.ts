import { readTensorFiles, type StoredTensor, toFloat32 } from '../formats/index.js';
import { exactSingularValues } from '../linalg/index.js';

/** What there is to say of one weight matrix. */
export interface MatrixReport {
  /** Name of the tensor. */
  readonly name: string;
  /** Stored element type. */
  readonly dtype: string;
  /** Shape in the file. */
  readonly shape: readonly number[];
  /** The k largest singular values, descending. */
  readonly sigma: readonly number[];
  /** σ1 over the smallest singular value: infinite for a matrix that is rank deficient in float32. */
  readonly condition: number;
  /** Root of the sum of all squared elements. */
  readonly frobenius: number;
}

/** A singular value below this share of σ1 times the larger dimension is rounding of float32 weights: rank deficient. */
const float32Epsilon = 2 ** -23;

/** The weight matrices of a safetensors file or model directory: float tensors of two or more axes that are not empty. */
export async function readMatrices(path: string): Promise<StoredTensor[]> {
  const { tensors } = await readTensorFiles(path);
  return tensors.filter(({ shape, dtype }) => shape.length >= 2 && !shape.includes(0) && /^(B?F|F8)/.test(dtype));
}

/** Singular values, condition number and norm of one matrix, from a full SVD in double precision. */
export function inspectMatrix(tensor: StoredTensor, topK: number): MatrixReport {
  const { name, dtype, shape } = tensor;
  const values = toFloat32(tensor);
  const rows = shape[0];
  const all = exactSingularValues(values, rows, values.length / rows);
  const smallest = all[all.length - 1];
  const noise = all[0] * float32Epsilon * Math.max(rows, values.length / rows);
  return {
    name,
    dtype,
    shape,
    sigma: [...all.subarray(0, topK)],
    condition: smallest > noise ? all[0] / smallest : Number.POSITIVE_INFINITY,
    frobenius: Math.sqrt(all.reduce((sum, value) => sum + value * value, 0)),
  };
}
