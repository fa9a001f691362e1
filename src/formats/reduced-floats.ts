/** Floating-point dtypes of 8 and 16 bits. */
export type ReducedFloat = 'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2';

interface Layout {
  bits: 8 | 16;
  exponentBits: number;
  mantissaBits: number;
  /** Without infinities (F8_E4M3) the top exponent holds numbers, and only the all-ones pattern is NaN. */
  infinities: boolean;
}

/** Sources: IEEE 754 binary16; bfloat16 as the upper half of binary32; OCP 8-bit floating point specification 1.0. */
export const REDUCED_FLOATS: Readonly<Record<ReducedFloat, Layout>> = {
  F16: { bits: 16, exponentBits: 5, mantissaBits: 10, infinities: true },
  BF16: { bits: 16, exponentBits: 8, mantissaBits: 7, infinities: true },
  F8_E4M3: { bits: 8, exponentBits: 4, mantissaBits: 3, infinities: false },
  F8_E5M2: { bits: 8, exponentBits: 5, mantissaBits: 2, infinities: true },
};

const QUIET_NAN = 0x7fc00000;
const INFINITY = 0x7f800000;

/** Float32 bit patterns of all patterns of a dtype (at most 256 KiB each), built at first use. */
const tables = new Map<ReducedFloat, Uint32Array>();

/** Widens bit patterns to float32 values in `out`, as many; exact, NaN payloads included. */
export function decodeReduced(patterns: Uint8Array | Uint16Array, dtype: ReducedFloat, out: Float32Array): void {
  const table = tables.get(dtype) ?? buildTable(REDUCED_FLOATS[dtype]);
  tables.set(dtype, table);
  // Copied as integers: as JavaScript numbers, signalling NaNs may come out quiet.
  const bits = new Uint32Array(out.buffer, out.byteOffset, patterns.length);
  for (let i = 0; i < bits.length; i++) bits[i] = table[patterns[i]];
}

function buildTable({ bits, exponentBits, mantissaBits, infinities }: Layout): Uint32Array {
  const values = new Float32Array(2 ** bits);
  const table = new Uint32Array(values.buffer);
  const bias = 2 ** (exponentBits - 1) - 1;
  const top = 2 ** exponentBits - 1;
  const half = 2 ** (bits - 1);
  for (let pattern = 0; pattern < half; pattern++) {
    const exponent = pattern >>> mantissaBits;
    const mantissa = pattern & (2 ** mantissaBits - 1);
    if (infinities && exponent === top) table[pattern] = INFINITY | (mantissa << (23 - mantissaBits));
    else if (!infinities && pattern === half - 1) table[pattern] = QUIET_NAN;
    else if (exponent === 0) values[pattern] = mantissa * 2 ** (1 - bias - mantissaBits);
    else values[pattern] = (1 + mantissa / 2 ** mantissaBits) * 2 ** (exponent - bias);
    table[pattern + half] = (table[pattern] | 0x80000000) >>> 0;
  }
  return table;
}

/**
 * Rounds float32 values to nearest even and writes their bit patterns to `out`.
 *
 * Too large becomes infinity, in F8_E4M3 the largest number, 448; a NaN keeps its sign and the payload bits that fit.
 */
export function encodeReduced(values: Float32Array, dtype: ReducedFloat, out: Uint8Array | Uint16Array): void {
  const { bits, exponentBits, mantissaBits, infinities } = REDUCED_FLOATS[dtype];
  const source = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const shift = 23 - mantissaBits;
  const signShift = 32 - bits;
  const signMask = 1 << (bits - 1);
  // Exponent fields count from different biases; the smallest normal number of the dtype has this float32 exponent field.
  const firstNormal = 128 - (2 ** (exponentBits - 1) - 1);
  const rebias = (firstNormal - 1) << mantissaBits;
  const top = (2 ** exponentBits - 1) << mantissaBits;
  const overflow = infinities ? top : signMask - 2;
  const quiet = 1 << (mantissaBits - 1);
  for (let i = 0; i < source.length; i++) {
    const magnitude = source[i] & 0x7fffffff;
    const exponent = magnitude >>> 23;
    let pattern: number;
    if (magnitude > INFINITY) {
      const payload = (magnitude >>> shift) & (2 ** mantissaBits - 1);
      pattern = infinities ? top | (payload || quiet) : signMask - 1;
    } else if (exponent >= firstNormal) {
      // A carry out of the mantissa moves into the exponent, which is what rounding up to a power of two means.
      pattern = ((magnitude + (1 << (shift - 1)) - 1 + ((magnitude >>> shift) & 1)) >>> shift) - rebias;
      if (pattern > overflow) pattern = overflow;
    } else {
      pattern = roundSubnormal(magnitude, exponent, shift + firstNormal - Math.max(exponent, 1));
    }
    out[i] = ((source[i] >>> signShift) & signMask) | pattern;
  }
}

/** The float32 significand shifted right by `shift` bits, rounded to nearest even: a subnormal of the narrower dtype. */
function roundSubnormal(magnitude: number, exponent: number, shift: number): number {
  // The significand has 24 bits: beyond a shift of 24 it is less than half of the smallest subnormal.
  if (shift > 24) return 0;
  const significand = (magnitude & 0x7fffff) | (exponent === 0 ? 0 : 0x800000);
  const kept = significand >>> shift;
  return (significand + (1 << (shift - 1)) - 1 + (kept & 1)) >>> shift;
}
