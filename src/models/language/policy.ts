import type { StateDictPolicy } from '../state-dict-policy.js';

/** Names of a family's heads in the files of transformers, as patterns without the family's prefix. */
export interface HeadNames {
  /** Heads of all of the family's classes. */
  readonly all: readonly string[];
  /** Those of the model at hand. */
  readonly own: readonly string[];
  /** Tensors that are a declared one under another name; default none. */
  readonly ties?: Readonly<Record<string, string>>;
}

/**
 * In what files of an encoder may differ from its state, as transformers reads them: the base model's prefix may be there or
 * not, TensorFlow's names of norms, saved numbers of positions; heads of other classes stay as they are, and one's own may be
 * drawn anew.
 *
 * @param family - The prefix of the base model in the classes with a head, `bert`.
 */
export function encoderPolicy(family: string, { all, own, ties = {} }: HeadNames): StateDictPolicy {
  const prefixes = ['module.', `${family}.`];
  const declared = own.flatMap((name) => [name, `${family}.${name}`]);
  return {
    prefixes,
    aliases: { '*LayerNorm.gamma': '*LayerNorm.weight', '*LayerNorm.beta': '*LayerNorm.bias' },
    ties,
    ignorable: ['*position_ids', ...all.filter((name) => !own.includes(name))],
    initializable: declared,
  };
}
