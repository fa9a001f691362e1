import { InputError } from '../registry/index.js';

/** Most bytes of a table; SentencePiece's nmt_nfkc has 240,000. */
const MAX_BYTES = 2 ** 24;
/** A cluster of characters that is longer is replaced one character at a time (`spm_precompiled`). */
const LONGEST_CLUSTER = 6;

/**
 * Reads SentencePiece's table of replacements (`precompiled_charsmap`): the length of a double array (Darts) in bytes, the
 * array, then the replacements in UTF-8, each ended by a zero byte.
 *
 * @returns What replaces a text's characters: whole grapheme clusters where the table has them, else characters. As in the
 *   Rust crate `spm_precompiled`, what the shortest key that a cluster begins with is replaced by stands for all of the cluster.
 * @throws InputError when the table is cut off or too large.
 */
export function parseCharsmap(bytes: Uint8Array): (text: string) => string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.length >= 4 ? view.getUint32(0, true) : Number.NaN;
  if (!(size % 4 === 0 && size >= 4 && 4 + size <= bytes.length && bytes.length <= MAX_BYTES)) {
    throw new InputError(
      `precompiled_charsmap: expected a table of at most ${MAX_BYTES} bytes, found ${bytes.length} bytes that are none`,
    );
  }
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = bytes.subarray(4 + size);
  const encoder = new TextEncoder();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const known = new Map<string, string | undefined>();

  /** The replacement of the shortest key that these characters begin with. */
  const find = (characters: string): string | undefined => {
    const utf8 = encoder.encode(characters);
    let at = offsetOf(units[0]);
    for (const byte of utf8) {
      if (byte === 0) return undefined;
      at ^= byte;
      const unit = units[at] ?? 0;
      // A leaf's label has its highest bit set, so it equals no byte.
      if ((unit & 0x800000ff) !== byte) return undefined;
      at ^= offsetOf(unit);
      if ((unit >>> 8) & 1) {
        const start = (units[at] ?? 0) & 0x7fffffff;
        const end = replacements.indexOf(0, start);
        return decoder.decode(replacements.subarray(start, end < 0 ? replacements.length : end));
      }
    }
    return undefined;
  };
  const replacementOf = (characters: string): string | undefined => {
    if (!known.has(characters)) {
      // Clusters come without end, characters do not.
      if (known.size > 100_000) known.clear();
      known.set(characters, find(characters));
    }
    return known.get(characters);
  };
  const clusters = new Intl.Segmenter('en', { granularity: 'grapheme' });
  return (text) => {
    let out = '';
    for (const { segment } of clusters.segment(text)) {
      const whole = encoder.encode(segment).length < LONGEST_CLUSTER ? replacementOf(segment) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of segment) out += replacementOf(character) ?? character;
    }
    return out;
  };
}

/** How far from a node of a double array its children lie. */
function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
}
