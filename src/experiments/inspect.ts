import {
  describeNotFinite,
  findNotFinite,
  type NotFinite,
  readTensorFiles,
  type StoredTensor,
  toFloat32,
} from '../formats/index.js';
import { exactSingularValues } from '../linalg/index.js';
import { InputError } from '../registry/index.js';

/** What there is to say of one weight matrix. */
export interface MatrixReport {
  /** Name of the tensor. */
  readonly name: string;
  /** Stored element type. */
  readonly dtype: string;
  /** Shape in the file. */
  readonly shape: readonly number[];
  /** The k largest singular values, descending; none where a value is not finite. */
  readonly sigma: readonly number[];
  /** σ1 over the smallest singular value: infinite for a matrix that is rank deficient, NaN where a value is not finite. */
  readonly condition: number;
  /** Root of the sum of all squared elements; NaN where one is not finite. */
  readonly frobenius: number;
  /** NaN and infinities among the values; none in a healthy matrix. */
  readonly notFinite?: NotFinite;
}

/** Distance between 1 and the next double; times σ1 and the longer side it is what NumPy's matrix_rank calls 0. */
const doubleEpsilon = 2 ** -52;

/** The tensors of a model that can be inspected. */
export interface InspectedTensors {
  /** Float tensors of two or more axes that are not empty. */
  readonly matrices: readonly StoredTensor[];
  /** What is wrong with other float tensors, a line each: NaN and infinities in biases and norms. */
  readonly remarks: readonly string[];
}

/**
 * The weight matrices of a safetensors file or model directory.
 *
 * @throws InputError when there is none; the message says what the file holds instead.
 */
export async function readMatrices(path: string): Promise<InspectedTensors> {
  const { tensors } = await readTensorFiles(path);
  const floats = tensors.filter(({ dtype }) => /^(B?F|F8)/.test(dtype));
  const isMatrix = ({ shape }: StoredTensor) => shape.length >= 2 && !shape.includes(0);
  const matrices = floats.filter(isMatrix);
  if (matrices.length === 0) {
    throw new InputError(
      `${path}: expected a weight matrix (a float tensor of two or more axes), found ${describeTensors(tensors, floats)}`,
    );
  }
  const remarks = floats.flatMap((tensor) => {
    const bad = isMatrix(tensor) ? undefined : findNotFinite(toFloat32(tensor), tensor.shape);
    return bad ? [`${tensor.name} is not finite: ${describeNotFinite(bad)}.`] : [];
  });
  return { matrices, remarks };
}

/** What a file without a matrix holds. */
function describeTensors(tensors: readonly StoredTensor[], floats: readonly StoredTensor[]): string {
  if (tensors.length === 0) return 'no tensors; give the file that holds the weights';
  const count = (of: readonly StoredTensor[]) => (of.length === 1 ? 'one tensor' : `${of.length} tensors`);
  const whose = 'singular values are those of matrices, so there is nothing to show';
  if (floats.length === 0) {
    const types = [...new Set(tensors.map(({ dtype }) => dtype))].join(', ');
    return `${count(tensors)} of type ${types}; ${whose}`;
  }
  return `${count(floats)} of at most one axis, or empty; ${whose}`;
}

/** Singular values, condition number and norm of one matrix, from a full SVD in double precision. */
export function inspectMatrix(tensor: StoredTensor, topK: number): MatrixReport {
  const { name, dtype, shape } = tensor;
  const values = toFloat32(tensor);
  const notFinite = findNotFinite(values, shape);
  if (notFinite) return { name, dtype, shape, sigma: [], condition: Number.NaN, frobenius: Number.NaN, notFinite };
  const [rows, columns] = [shape[0], values.length / shape[0]];
  const all = exactSingularValues(values, rows, columns);
  const smallest = all[all.length - 1];
  // What is smaller is the rounding of the SVD itself. The rounding of the weights to float32, a billion times larger, is
  // no reason to call a value 0: the file's weights are the matrix.
  const noise = all[0] * doubleEpsilon * Math.max(rows, columns);
  return {
    name,
    dtype,
    shape,
    sigma: [...all.subarray(0, topK)],
    condition: smallest > noise ? all[0] / smallest : Number.POSITIVE_INFINITY,
    frobenius: Math.sqrt(all.reduce((sum, value) => sum + value * value, 0)),
  };
}
