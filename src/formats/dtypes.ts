import { InputError, quote } from '../registry/index.js';
import { decodeReduced, encodeReduced, REDUCED_FLOATS } from './reduced-floats.js';

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

/** What is known of a tensor before its bytes are read. */
export interface TensorHeader {
  /** As in the state dict; any text but `__metadata__`. */
  name: string;
  /** Type of each element. */
  dtype: StoredDType;
  /** Dimensions, the slowest first; `[]` is a scalar. */
  shape: readonly number[];
}

/** A tensor as it lies in a file: little-endian, row-major bytes that may start at any address of their buffer. */
export interface StoredTensor extends TensorHeader {
  /** As many as dtype and shape ask for; those of a file parsed in memory are a view into it. */
  bytes: Uint8Array;
}

/** Bytes of one element of each stored dtype. */
export const DTYPE_BYTES: Readonly<Record<StoredDType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

const SMALL_INTEGERS = {
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

/** Each integer dtype holds 0 (signed: -2^bits) to below 2^bits; the bounds are exact as doubles. */
const INTEGER_BITS = {
  I64: { signed: true, bits: 63 },
  I32: { signed: true, bits: 31 },
  I16: { signed: true, bits: 15 },
  I8: { signed: true, bits: 7 },
  U64: { signed: false, bits: 64 },
  U32: { signed: false, bits: 32 },
  U16: { signed: false, bits: 16 },
  U8: { signed: false, bits: 8 },
  BOOL: { signed: false, bits: 1 },
} as const;

/** Whether a name from a file is a dtype that weightlock stores. */
export function isStoredDType(name: string): name is StoredDType {
  return Object.hasOwn(DTYPE_BYTES, name);
}

/**
 * Bytes of a tensor of this dtype and shape (`[]` is a scalar: one element).
 *
 * @returns `undefined` when a dimension is no non-negative safe integer or the product exceeds 2^53 - 1.
 */
export function storedByteLength(dtype: StoredDType, shape: readonly number[]): number | undefined {
  let bytes = DTYPE_BYTES[dtype];
  for (const dimension of shape) {
    bytes *= dimension;
    if (!Number.isSafeInteger(dimension) || dimension < 0 || !Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
}

/**
 * The values of a stored tensor as a new Float32Array, row-major; changing it never changes the file's bytes.
 *
 * F16, BF16 and the 8-bit floats are exact (NaN payloads included); F64 and wide integers round to nearest even, once.
 *
 * @throws InputError when the bytes do not fit the shape, or a BOOL byte is neither 0 nor 1.
 */
export function toFloat32(tensor: StoredTensor): Float32Array {
  checkBytes(tensor);
  const values = new Float32Array(tensor.bytes.length / DTYPE_BYTES[tensor.dtype]);
  decodeInto(values, 0, tensor, tensor.bytes);
  return values;
}

/**
 * {@link toFloat32} of a part of a tensor, into memory that is there already.
 *
 * @param values - Receives the part's values, from `first` on.
 * @param first - Number of the part's first element in the tensor.
 * @param bytes - The part: whole elements.
 * @throws InputError when a BOOL byte is neither 0 nor 1.
 */
export function decodeInto(values: Float32Array, first: number, tensor: TensorHeader, bytes: Uint8Array): void {
  const { dtype } = tensor;
  const size = DTYPE_BYTES[dtype];
  const count = bytes.length / size;
  // Typed arrays refuse a start that is no multiple of their element's size. Not slice(): that of a Node Buffer is a view.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  // A union of constructors takes no shared buffer, and none comes from a file.
  const place = [aligned.buffer as ArrayBuffer, aligned.byteOffset, count] as const;
  switch (dtype) {
    case 'F16':
    case 'BF16':
    case 'F8_E4M3':
    case 'F8_E5M2': {
      const patterns = new (size === 2 ? Uint16Array : Uint8Array)(...place);
      decodeReduced(patterns, dtype, values.subarray(first, first + count));
      break;
    }
    case 'I64':
    case 'U64': {
      const wide = new (dtype === 'I64' ? BigInt64Array : BigUint64Array)(...place);
      for (let i = 0; i < count; i++) values[first + i] = singleFromBigInt(wide[i]);
      break;
    }
    case 'F64':
      values.set(new Float64Array(...place), first);
      break;
    case 'F32':
      values.set(new Float32Array(...place), first);
      break;
    default:
      if (dtype === 'BOOL') checkBooleans(tensor, bytes, first);
      values.set(new SMALL_INTEGERS[dtype](...place), first);
  }
}

/**
 * Stores float32 values with the name, dtype and shape of another tensor, in new bytes.
 *
 * Floats round to nearest even; what is too large becomes infinity (448 in F8_E4M3, which has none), as in
 * PyTorch 2.15.
 * Integers and BOOL are stored only when nothing is lost.
 *
 * @param values - Row-major, as many as the shape asks for.
 * @throws InputError when the number of values is wrong, or a value is no integer within the dtype's range.
 */
export function fromFloat32(values: Float32Array, like: TensorHeader): StoredTensor {
  const { name, dtype } = like;
  const shape = [...like.shape];
  const bytes = storedByteLength(dtype, shape);
  if (bytes === undefined || bytes / DTYPE_BYTES[dtype] !== values.length) {
    throw new InputError(
      `tensor ${quote(name)}: expected as many values as shape [${shape}] has elements, found ${values.length}`,
    );
  }
  return { name, dtype, shape, bytes: encodeValues(values, name, dtype) };
}

function encodeValues(values: Float32Array, name: string, dtype: StoredDType): Uint8Array {
  switch (dtype) {
    case 'F64':
      return bytesOf(new Float64Array(values));
    case 'F32':
      return bytesOf(values.slice());
    case 'F16':
    case 'BF16':
    case 'F8_E4M3':
    case 'F8_E5M2': {
      const wide = REDUCED_FLOATS[dtype].bits === 16;
      const patterns = wide ? new Uint16Array(values.length) : new Uint8Array(values.length);
      encodeReduced(values, dtype, patterns);
      return bytesOf(patterns);
    }
    case 'I64':
      return bytesOf(BigInt64Array.from(integers(values, name, dtype), BigInt));
    case 'U64':
      return bytesOf(BigUint64Array.from(integers(values, name, dtype), BigInt));
    default:
      return bytesOf(new SMALL_INTEGERS[dtype](integers(values, name, dtype)));
  }
}

function integers(values: Float32Array, name: string, dtype: keyof typeof INTEGER_BITS): Float32Array {
  const { signed, bits } = INTEGER_BITS[dtype];
  const end = 2 ** bits;
  const low = signed ? -end : 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Number.isInteger(value) && value >= low && value < end) continue;
    throw new InputError(
      `tensor ${quote(name)}: expected an integer from ${signed ? `-2^${bits}` : 0} to below 2^${bits} for ${dtype}, found ${value} at index ${i}`,
    );
  }
  return values;
}

/** int64 to float32 with one rounding: through double it would round twice and miss C's cast by one unit. */
function singleFromBigInt(value: bigint): number {
  const exact = Number(value);
  if (Math.abs(exact) < 2 ** 53) return exact;
  // Round to odd: 12 low bits collapse into one sticky bit, so that the store into float32 rounds the only time.
  const sticky = (value & 4095n) === 0n ? 0n : 1n;
  return Number((value >> 12n) | sticky) * 4096;
}

function checkBytes({ name, dtype, shape, bytes }: StoredTensor): void {
  const expected = storedByteLength(dtype, shape);
  if (expected === bytes.length) return;
  throw new InputError(
    `tensor ${quote(name)}: expected ${expected ?? 'at most 2^53 - 1'} bytes for ${dtype} [${shape}], found ${bytes.length}`,
  );
}

function checkBooleans({ name }: TensorHeader, bytes: Uint8Array, first: number): void {
  const bad = bytes.findIndex((byte) => byte > 1);
  if (bad < 0) return;
  throw new InputError(
    `tensor ${quote(name)}: expected BOOL bytes 0 or 1, found ${bytes[bad]} at index ${first + bad}`,
  );
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
