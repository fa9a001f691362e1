import { createHash } from 'node:crypto';
import { DuplicateFinder, type DuplicatePair, type Duplicates } from './duplicates.js';
import { nearDuplicates, normalized } from './near-duplicates.js';
import type { LabelledTexts, TextRecord } from './texts.js';

/** Texts of later splits that are nearly one of an earlier split, and what else they share. */
export interface NearDuplicates {
  /** Texts of later splits of which an earlier split has one with more than half of the word 5-grams in common. */
  readonly between: number;
  /** The first ten, the most alike first. */
  readonly pairs: readonly (DuplicatePair & { readonly similarity: number })[];
  /** Pairs of texts of later splits one of whose texts occurs in an earlier split; undefined where texts come alone. */
  readonly shared?: number;
}

/** What reading all texts finds. */
export interface CheckedTexts {
  /** Exact copies, letter for letter. */
  readonly duplicates: Duplicates;
  /** Near copies, without the exact ones. */
  readonly near: NearDuplicates;
}

const SHOWN_PAIRS = 10;

/**
 * Finds exact copies within and between the splits of a set of texts, and near copies between them; a pair of texts is a copy
 * where both texts are.
 *
 * @param onText - Hears after each text.
 */
export function checkTexts(
  splits: readonly { name: string; texts: LabelledTexts }[],
  onText?: () => void,
): CheckedTexts {
  const finder = new DuplicateFinder(splits.map(({ name }) => name));
  const all = splits.flatMap(({ texts }, split) =>
    Array.from(texts.labels, (label, index) => ({ split, label, index, texts })),
  );
  const isPair = all.some(({ texts, index }) => texts.record(index).pair !== undefined);
  const known = new Map<string, number>();
  let shared = 0;
  for (const { split, label, index, texts } of all) {
    const record = texts.record(index);
    const parts = partsOf(record);
    finder.add(hashOf(parts), { split, label, name: () => texts.nameOf(index) });
    const names = parts.map(normalized);
    if (names.some((name) => (known.get(name) ?? split) < split)) shared++;
    for (const name of names) if (!known.has(name)) known.set(name, split);
    onText?.();
  }
  const texts = all.map(({ texts, index }) => partsOf(texts.record(index)).join('\n'));
  const pairs = nearDuplicates(
    texts,
    (first, second) => all[first].split < all[second].split && texts[first] !== texts[second],
  );
  const place = (at: number) => all[at].texts.nameOf(all[at].index);
  return {
    duplicates: finder.found,
    near: {
      between: pairs.length,
      pairs: pairs
        .toSorted((a, b) => b.similarity - a.similarity)
        .slice(0, SHOWN_PAIRS)
        .map(({ first, second, similarity }) => ({
          first: place(first),
          second: place(second),
          sameLabel: all[first].label === all[second].label,
          similarity,
        })),
      ...(isPair && { shared }),
    },
  };
}

function partsOf({ text, pair }: TextRecord): string[] {
  return pair === undefined ? [text] : [text, pair];
}

function hashOf(parts: readonly string[]): string {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(`${part.length} `).update(part);
  return digest.digest('base64');
}
