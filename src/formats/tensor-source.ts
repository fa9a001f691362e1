import type { TensorHeader } from './dtypes.js';
import type { HeaderMetadata } from './safetensors-header.js';

/** Tensors are read in pieces of so many bytes; a multiple of every element's size. */
export const PIECE_BYTES = 2 ** 20;

/** Largest file that is read unless told otherwise: 16 GiB. */
export const MAX_FILE_BYTES = 16 * 2 ** 30;

/** A file of tensors in any format: what it holds is known and checked, its data lie on the disk. */
export interface TensorSource extends HeaderMetadata {
  /** Where it lies. */
  readonly path: string;
  /** In the order of their data. */
  readonly tensors: readonly LazyTensor[];
}

/** A tensor on the disk. */
export interface LazyTensor {
  /** What is known of it; of a quantized one, dtype and shape of its values. */
  readonly header: TensorHeader;
  /**
   * Reads it piece by piece, so that its bytes are never in memory together.
   *
   * @param onPiece - Sees the bytes in their order, as dtype and shape say, whole elements; `offset` is of their first in the
   *   tensor. Each piece is overwritten when it returns.
   * @throws InputError when the file has changed since it was opened.
   */
  pieces(onPiece: (piece: Uint8Array, offset: number) => void): Promise<void>;
}
