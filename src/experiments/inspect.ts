import { type EngineOptions, type ProgramCache, withPrograms } from '../engine/index.js';
import { digestOfWeights, tensorDigest } from '../evidence/index.js';
import {
  describeNotFinite,
  findNotFinite,
  type NotFinite,
  type OpenTensors,
  openTensors,
  type TensorHeader,
} from '../formats/index.js';
import { exactSingularValues } from '../linalg/index.js';
import { type MatrixShape, matrixShape, modelFolder, requirePlainFolder } from '../models/index.js';
import { InputError } from '../registry/index.js';
import { allSingularValues, EXACT_SIDE, leadingSingularValues } from '../spectra/index.js';

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
  /**
   * σ1 over the smallest singular value: infinite for a matrix that is rank deficient, NaN where a value is not finite,
   * undefined where it was not computed: for a large matrix it needs a full SVD, which was not asked for.
   */
  readonly condition?: number;
  /** Root of the sum of all squared elements; NaN where one is not finite. */
  readonly frobenius: number;
  /** NaN and infinities among the values; none in a healthy matrix. */
  readonly notFinite?: NotFinite;
}

/** A tensor and the digest of its name, dtype, shape and bytes. */
export interface DigestedTensor {
  /** Name of the tensor. */
  readonly name: string;
  /** Stored element type. */
  readonly dtype: string;
  /** Shape in the file. */
  readonly shape: readonly number[];
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
}

/** All that was found in a model's weights. */
export interface Inspection {
  /** One report a float tensor of two or more axes that is not empty. */
  readonly matrices: readonly MatrixReport[];
  /** What is wrong with other float tensors, a line each: NaN and infinities in biases and norms. */
  readonly remarks: readonly string[];
  /** All tensors in file order. */
  readonly tensors: readonly DigestedTensor[];
  /** SHA-256 of the weights: of all tensors, whatever their order and shards. */
  readonly sha256: string;
}

/** How {@link inspectTensors} looks at matrices, and whom it tells. */
export interface InspectOptions {
  /** How many singular values of each matrix. */
  topK: number;
  /** A full SVD of every matrix, for the condition number of large ones; default false. */
  exact?: boolean;
  /** Threads and device of the products with large matrices. */
  engine?: EngineOptions;
  /** Stops it between two tensors. */
  signal?: AbortSignal;
  /** Hears of each tensor that is done. */
  onTensor?: (done: number, name: string) => void;
}

/** Distance between 1 and the next double; times σ1 and the longer side it is what NumPy's matrix_rank calls 0. */
const doubleEpsilon = 2 ** -52;

/**
 * Opens a safetensors file or model directory that holds a weight matrix; reads the headers alone.
 *
 * @throws InputError when there is no matrix; the message says what the file holds instead.
 */
export async function openMatrices(path: string): Promise<{ tensors: OpenTensors; matrices: readonly TensorHeader[] }> {
  const tensors = await openTensors(path);
  await requirePlainFolder(await modelFolder(path), tensors.headers);
  const matrices = tensors.headers.filter((header) => isFloat(header) && matrixShape(header.shape) !== undefined);
  if (matrices.length === 0) {
    const found = describeTensors(tensors.headers, tensors.headers.filter(isFloat));
    throw new InputError(`${path}: expected a weight matrix (a float tensor of two or more axes), found ${found}`);
  }
  return { tensors, matrices };
}

function isFloat({ dtype }: TensorHeader): boolean {
  return /^(B?F|F8)/.test(dtype);
}

/** What a file without a matrix holds. */
function describeTensors(tensors: readonly TensorHeader[], floats: readonly TensorHeader[]): string {
  if (tensors.length === 0) return 'no tensors; give the file that holds the weights';
  const count = (of: readonly TensorHeader[]) => (of.length === 1 ? 'one tensor' : `${of.length} tensors`);
  const whose = 'singular values are those of matrices, so there is nothing to show';
  if (floats.length === 0) {
    const types = [...new Set(tensors.map(({ dtype }) => dtype))].join(', ');
    return `${count(tensors)} of type ${types}; ${whose}`;
  }
  return `${count(floats)} of at most one axis, or empty; ${whose}`;
}

/**
 * Singular values, norms and digests of a model's weights, tensor by tensor. One buffer holds the float32 values of each in
 * turn, so that memory is that of the largest tensor and of what its singular values take: three Gram matrices of shorter sides of up to
 * 4,096 (two and the one before; 134 MB each at most), or twice the tensor for a full SVD of a large square matrix (`exact`, and where the
 * iteration does not converge).
 */
export function inspectTensors(tensors: OpenTensors, options: InspectOptions): Promise<Inspection> {
  return withPrograms(options.engine, (programs) => inspectWith(programs, tensors, options));
}

async function inspectWith(
  programs: ProgramCache,
  tensors: OpenTensors,
  { topK, exact = false, signal, onTensor }: InspectOptions,
): Promise<Inspection> {
  const sizeOf = ({ shape }: TensorHeader) => shape.reduce((product, length) => product * length, 1);
  const floats = tensors.headers.filter(isFloat);
  const buffer = new Float32Array(floats.reduce((most, header) => Math.max(most, sizeOf(header)), 0));
  const matrices: MatrixReport[] = [];
  const remarks: string[] = [];
  const digested: DigestedTensor[] = [];
  for (const header of tensors.headers) {
    signal?.throwIfAborted();
    const { name, dtype, shape } = header;
    const digest = tensorDigest(header);
    const onPiece = (piece: Uint8Array) => void digest.update(piece);
    if (isFloat(header)) {
      const values = buffer.subarray(0, sizeOf(header));
      await tensors.values(name, values, onPiece);
      const matrix = matrixShape(shape);
      if (matrix) matrices.push(await inspectMatrix(header, values, matrix, { topK, exact, programs }));
      else {
        const bad = findNotFinite(values, shape);
        if (bad) remarks.push(`${name} is not finite: ${describeNotFinite(bad)}.`);
      }
    } else await tensors.pieces(name, onPiece);
    digested.push({ name, dtype, shape, sha256: digest.digest('hex') });
    onTensor?.(digested.length, name);
    // An SVD blocks: let Ctrl-C and the progress line have their turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { matrices, remarks, tensors: digested, sha256: digestOfWeights(digested.map(({ sha256 }) => sha256)) };
}

/** Singular values, condition number and norm of one matrix, in double precision. */
async function inspectMatrix(
  { name, dtype, shape }: TensorHeader,
  values: Float32Array,
  { rows, columns }: MatrixShape,
  { topK, exact, programs }: { topK: number; exact: boolean; programs: ProgramCache },
): Promise<MatrixReport> {
  const notFinite = findNotFinite(values, shape);
  if (notFinite) return { name, dtype, shape, sigma: [], condition: Number.NaN, frobenius: Number.NaN, notFinite };
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i] * values[i];
  const frobenius = Math.sqrt(squares);
  if (!exact && Math.min(rows, columns) > EXACT_SIDE) {
    const sigma = [...(await leadingSingularValues(values, { rows, columns, k: topK, name, programs }))];
    return { name, dtype, shape, sigma, frobenius };
  }
  const all = exact
    ? exactSingularValues(values, rows, columns)
    : await allSingularValues(values, { rows, columns, programs });
  const smallest = all[all.length - 1];
  // What is smaller is the rounding of the SVD itself. The rounding of the weights to float32, a billion times larger, is
  // no reason to call a value 0: the file's weights are the matrix.
  const noise = all[0] * doubleEpsilon * Math.max(rows, columns);
  const condition = smallest > noise ? all[0] / smallest : Number.POSITIVE_INFINITY;
  return { name, dtype, shape, sigma: [...all.subarray(0, topK)], condition, frobenius };
}
