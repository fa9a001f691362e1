import type { StoredDType } from '../dtypes.js';
import { decodeReduced } from '../reduced-floats.js';

/** How ggml stores a tensor of one type: rows of whole blocks, one after another. */
export interface BlockFormat {
  /** ggml's name. */
  readonly name: string;
  /** Values in one block. */
  readonly elements: number;
  /** Bytes of one block. */
  readonly bytes: number;
  /** Type of the values as they are given: the stored one, or F32, which holds what is dequantized exactly. */
  readonly dtype: StoredDType;
  /** Computes the values of the block that begins at `from`; none for types that are stored as they are given. */
  readonly dequantize?: (block: Uint8Array, from: number, values: Float32Array, to: number) => void;
}

/**
 * The types that are read, by their number in ggml. All values are float32 to the bit as ggml computes them.
 *
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h and ggml-quants.c (`dequantize_row_*`)
 */
export const BLOCK_FORMATS: Readonly<Record<number, BlockFormat>> = {
  0: { name: 'F32', elements: 1, bytes: 4, dtype: 'F32' },
  1: { name: 'F16', elements: 1, bytes: 2, dtype: 'F16' },
  2: { name: 'Q4_0', elements: 32, bytes: 18, dtype: 'F32', dequantize: q4_0 },
  3: { name: 'Q4_1', elements: 32, bytes: 20, dtype: 'F32', dequantize: q4_1 },
  6: { name: 'Q5_0', elements: 32, bytes: 22, dtype: 'F32', dequantize: q5_0 },
  7: { name: 'Q5_1', elements: 32, bytes: 24, dtype: 'F32', dequantize: q5_1 },
  8: { name: 'Q8_0', elements: 32, bytes: 34, dtype: 'F32', dequantize: q8_0 },
  12: { name: 'Q4_K', elements: 256, bytes: 144, dtype: 'F32', dequantize: q4_k },
  14: { name: 'Q6_K', elements: 256, bytes: 210, dtype: 'F32', dequantize: q6_k },
  30: { name: 'BF16', elements: 1, bytes: 2, dtype: 'BF16' },
};

/** Names of ggml's other types, for messages. */
export const OTHER_TYPES: Readonly<Record<number, string>> = {
  ...{
    9: 'Q8_1',
    10: 'Q2_K',
    11: 'Q3_K',
    13: 'Q5_K',
    15: 'Q8_K',
    16: 'IQ2_XXS',
    17: 'IQ2_XS',
    18: 'IQ3_XXS',
    19: 'IQ1_S',
  },
  ...{ 20: 'IQ4_NL', 21: 'IQ3_S', 22: 'IQ2_S', 23: 'IQ4_XS', 24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64' },
  ...{ 29: 'IQ1_M', 34: 'TQ1_0', 35: 'TQ2_0', 39: 'MXFP4' },
};

/** 16 bytes of two 4-bit numbers each, low ones first; value = d·(q − 8). */
function q4_0(block: Uint8Array, from: number, values: Float32Array, to: number): void {
  const d = half(block, from);
  for (let i = 0; i < 16; i++) {
    const pair = block[from + 2 + i];
    values[to + i] = d * ((pair & 15) - 8);
    values[to + i + 16] = d * ((pair >> 4) - 8);
  }
}

/** As Q4_0 with a smallest value m; value = d·q + m. */
function q4_1(block: Uint8Array, from: number, values: Float32Array, to: number): void {
  const d = half(block, from);
  const m = half(block, from + 2);
  for (let i = 0; i < 16; i++) {
    const pair = block[from + 4 + i];
    values[to + i] = d * (pair & 15) + m;
    values[to + i + 16] = d * (pair >> 4) + m;
  }
}

/** 32 fifth bits, then the lower four as in Q4_0; value = d·(q − 16). */
function q5_0(block: Uint8Array, from: number, values: Float32Array, to: number): void {
  const d = half(block, from);
  for (let i = 0; i < 16; i++) {
    const pair = block[from + 6 + i];
    values[to + i] = d * (((pair & 15) | fifthBit(block, from + 2, i)) - 16);
    values[to + i + 16] = d * (((pair >> 4) | fifthBit(block, from + 2, i + 16)) - 16);
  }
}

/** As Q5_0 with a smallest value m; value = d·q + m. */
function q5_1(block: Uint8Array, from: number, values: Float32Array, to: number): void {
  const d = half(block, from);
  const m = half(block, from + 2);
  for (let i = 0; i < 16; i++) {
    const pair = block[from + 8 + i];
    values[to + i] = d * ((pair & 15) | fifthBit(block, from + 4, i)) + m;
    values[to + i + 16] = d * ((pair >> 4) | fifthBit(block, from + 4, i + 16)) + m;
  }
}

function fifthBit(block: Uint8Array, bits: number, index: number): number {
  return ((block[bits + (index >> 3)] >> (index & 7)) & 1) << 4;
}

/** 32 signed bytes; value = d·q. */
function q8_0(block: Uint8Array, from: number, values: Float32Array, to: number): void {
  const d = half(block, from);
  for (let i = 0; i < 32; i++) values[to + i] = d * signed(block[from + 2 + i]);
}

/**
 * Eight groups of 32 values, each with a scale s and a minimum m of 6 bits, which 12 bytes hold; two groups share 32 bytes, the
 * low halves first. Value = d·s·q − dmin·m.
 */
function q4_k(block: Uint8Array, from: number, values: Float32Array, to: number): void {
  const d = half(block, from);
  const dmin = half(block, from + 2);
  for (let group = 0; group < 8; group++) {
    const [scale, minimum] = scaleAndMinimum(block, from + 4, group);
    const quants = from + 16 + (group >> 1) * 32;
    const shift = (group & 1) * 4;
    for (let i = 0; i < 32; i++) {
      values[to + group * 32 + i] = d * scale * ((block[quants + i] >> shift) & 15) - dmin * minimum;
    }
  }
}

/** Scales and minimums of groups 0 to 3 lie in the low six bits of 8 bytes; those of 4 to 7 in four more and the top bits of these. */
function scaleAndMinimum(block: Uint8Array, at: number, group: number): readonly [scale: number, minimum: number] {
  if (group < 4) return [block[at + group] & 63, block[at + group + 4] & 63];
  const low = block[at + group + 4];
  return [(low & 15) | ((block[at + group - 4] >> 6) << 4), (low >> 4) | ((block[at + group] >> 6) << 4)];
}

/**
 * Two halves of 128 values, each of four groups of 32: the lower four bits of groups 0 and 2 (and of 1 and 3) share bytes, the
 * upper two bits of all four do. 16 values share a signed scale s; value = d·s·(q − 32).
 */
function q6_k(block: Uint8Array, from: number, values: Float32Array, to: number): void {
  const d = half(block, from + 208);
  for (let side = 0; side < 2; side++) {
    const low = from + side * 64;
    const high = from + 128 + side * 32;
    const scales = from + 192 + side * 8;
    for (let group = 0; group < 4; group++) {
      const begin = low + (group & 1) * 32;
      for (let i = 0; i < 32; i++) {
        const lower = (block[begin + i] >> ((group >> 1) * 4)) & 15;
        const upper = (block[high + i] >> (group * 2)) & 3;
        const scale = signed(block[scales + group * 2 + (i >> 4)]);
        values[to + side * 128 + group * 32 + i] = d * scale * ((lower | (upper << 4)) - 32);
      }
    }
  }
}

function signed(byte: number): number {
  return (byte << 24) >> 24;
}

let halves: Float32Array | undefined;

/** The float16 number at a place. */
function half(bytes: Uint8Array, at: number): number {
  if (!halves) {
    halves = new Float32Array(2 ** 16);
    decodeReduced(
      Uint16Array.from(halves, (_, pattern) => pattern),
      'F16',
      halves,
    );
  }
  return halves[bytes[at] | (bytes[at + 1] << 8)];
}
