/** Element types of stored tensors, named as in safetensors. */
export type StoredDType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U64'
  | 'U32'
  | 'U16'
  | 'U8'
  | 'BOOL'
  | 'F8_E4M3'
  | 'F8_E5M2';

/** A tensor as it lies in a file: little-endian, row-major. */
export interface StoredTensor {
  /** Name, unique in its file. */
  name: string;
  /** Element type. */
  dtype: StoredDType;
  /** Sizes of the axes. */
  shape: readonly number[];
  /** The elements. */
  bytes: Uint8Array;
}

/** The content of a safetensors file. */
export interface SafetensorsFile {
  /** In file order. */
  tensors: StoredTensor[];
  /** Free text by key. */
  metadata: Record<string, string>;
}
