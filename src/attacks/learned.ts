import type { LockKnowledge } from '../locks/index.js';
import { learnedOptions, type TransformOptions } from './plan.js';
import { trainedParts } from './trained/index.js';

/**
 * What an attacker who knows this of a lock makes of it: options of the transforms and trained parts that can use it, by their names.
 * Knowing more takes no attack from him: what it is of no use to is not there.
 */
export function knownOptions(knowledge: LockKnowledge): TransformOptions {
  const ofParts = trainedParts
    .entries()
    .map(({ name, learn }) => [name, learn?.(knowledge) as TransformOptions[string]]);
  const all = { ...learnedOptions(knowledge), ...(Object.fromEntries(ofParts) as TransformOptions) };
  return Object.fromEntries(Object.entries(all).filter(([, options]) => options !== undefined));
}
