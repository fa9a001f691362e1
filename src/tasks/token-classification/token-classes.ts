import { type Dataset, NO_CLASS, subset, type TokenClasses } from '../../data/index.js';
import { RandomStream } from '../../linalg/index.js';
import { InputError } from '../../registry/index.js';
import type { TargetReader } from '../task.js';

/**
 * The classes of the tokens of a data set.
 *
 * @throws InputError when they have none.
 */
export function requireClasses({ name, examples: { tokenClasses } }: Dataset): TokenClasses {
  if (tokenClasses) return tokenClasses;
  throw new InputError(`${name}: expected texts in words that have a class each, found none`);
}

/** The classes of the tokens of an example that have one. */
export function classesAt(dataset: Dataset): (position: number) => Int32Array {
  const { of } = requireClasses(dataset);
  return (position) => of(dataset.indices[position]).filter((label) => label !== NO_CLASS);
}

/** Writes the class of each token of an example into its row of labels, `[batch, tokens]`; padding has none. */
export function tokenClassReader(dataset: Dataset): TargetReader {
  const { of } = requireClasses(dataset);
  return (position, { batch, row, layout }) => {
    const [tokens] = layout.input_ids.shape;
    const [mask, labels] = [batch.attention_mask, batch.labels] as BigInt64Array[];
    const classes = of(dataset.indices[position]);
    let seen = 0;
    for (let at = row * tokens; at < (row + 1) * tokens; at++) {
      labels[at] = BigInt(mask[at] === 0n ? NO_CLASS : classes[seen++]);
    }
  };
}

/**
 * Draws texts by a seed until each class occurs in so many of them (all where fewer have it): a text is taken where it has a
 * class that still lacks some.
 */
export function drawTexts(dataset: Dataset, perClass: number, seed: number): Dataset {
  const at = classesAt(dataset);
  const taken = new Map<number, number>();
  const positions = new RandomStream(seed, `few-shot ${dataset.name}`).permutation(dataset.size).filter((position) => {
    const own = new Set(at(position));
    const isWanted = [...own].some((label) => (taken.get(label) ?? 0) < perClass);
    if (isWanted) for (const label of own) taken.set(label, (taken.get(label) ?? 0) + 1);
    return isWanted;
  });
  return subset(dataset, positions, `${dataset.name}, ${perClass} of each class`);
}
