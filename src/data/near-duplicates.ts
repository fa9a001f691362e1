import { createHash } from 'node:crypto';

/** Words of a shingle, and how many of two texts' shingles must be common: as the data sets of prompts were split. */
const WORDS = 5;
const SIMILAR = 0.5;
/**
 * Signatures for texts that share half of their shingles: of 40 bands of 3 minima, one at least is equal with a
 * probability of 1 - (1 - 0.5³)⁴⁰ = 99.5 %, and of 99.99 % at 0.6. What is found is then compared exactly.
 */
const BANDS = 40;
const ROWS = 3;
/** Texts of one band that a text is compared with at most, so that a thousand copies take no time of their own. */
const MOST_COMPARED = 16;

/** Two texts that are nearly the same. */
export interface NearPair {
  /** The earlier one. */
  readonly first: number;
  /** The later one. */
  readonly second: number;
  /** Share of their word 5-grams that both have: the Jaccard index. */
  readonly similarity: number;
}

/**
 * Finds texts that are nearly an earlier one: more than half of the 5-grams of lower-cased words are common (Jaccard; a text of
 * fewer words is one shingle). MinHash (Broder 1997) with bands finds whom to compare, so the time is linear in the texts.
 *
 * @param isCompared - Whether two texts are to be compared, by their numbers; the earlier one first.
 * @returns Of each such text its most similar earlier one among those that were compared.
 */
export function nearDuplicates(
  texts: Iterable<string>,
  isCompared: (first: number, second: number) => boolean,
): NearPair[] {
  const shingles: Uint32Array[] = [];
  const bands = Array.from({ length: BANDS }, () => new Map<string, number[]>());
  const found: NearPair[] = [];
  for (const text of texts) {
    const second = shingles.length;
    const own = shinglesOf(text);
    shingles.push(own);
    const signature = minima(own);
    let best: NearPair | undefined;
    const seen = new Set<number>();
    for (const [band, buckets] of bands.entries()) {
      const key = signature.subarray(band * ROWS, (band + 1) * ROWS).join(' ');
      const bucket = buckets.get(key) ?? [];
      buckets.set(key, bucket);
      for (const first of bucket) {
        if (seen.has(first) || !isCompared(first, second)) continue;
        seen.add(first);
        const similarity = jaccard(shingles[first], own);
        if (similarity > SIMILAR && similarity > (best?.similarity ?? 0)) best = { first, second, similarity };
      }
      if (bucket.length < MOST_COMPARED) bucket.push(second);
    }
    if (best) found.push(best);
  }
  return found;
}

/** Lower-cased words of a text, one space between. */
export function normalized(text: string): string {
  return text.toLowerCase().trim().replaceAll(/\s+/g, ' ');
}

/** Hashes of a text's shingles, sorted, each once. */
function shinglesOf(text: string): Uint32Array {
  const words = normalized(text).split(' ');
  const hashes = new Set<number>();
  for (let at = 0; at === 0 || at + WORDS <= words.length; at++) {
    hashes.add(hashOf(words.slice(at, at + WORDS).join(' ')));
  }
  return Uint32Array.from(hashes).sort();
}

/** 32 bits of a text: by FNV-1a over its UTF-16 code units, then mixed. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mixed(hash);
}

/** A bijection of 32 bits in which each bit depends on all (the finalizer of MurmurHash 3). */
function mixed(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Keys of the permutations that minima are taken under: the same on every machine. */
const KEYS = Uint32Array.from({ length: BANDS * ROWS }, (_, i) =>
  createHash('sha256').update(`minhash ${i}`).digest().readUInt32LE(0),
);

function minima(shingles: Uint32Array): Uint32Array {
  return KEYS.map((key) => {
    let least = 0xffffffff;
    for (const shingle of shingles) least = Math.min(least, mixed(shingle ^ key));
    return least;
  });
}

/** Share of the elements of two sorted sets that both have. */
function jaccard(a: Uint32Array, b: Uint32Array): number {
  let [i, j, common] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      common++;
      i++;
      j++;
    } else if (a[i] < b[j]) i++;
    else j++;
  }
  return common / (a.length + b.length - common);
}
