import { type Dataset, TextExamples } from '../data/index.js';
import { isLike, type ModelSpec } from '../models/index.js';
import { InputError } from '../registry/index.js';

/**
 * Checks that a data set has examples, and that they are what a model takes.
 *
 * @throws InputError saying what does not fit.
 */
export function requireExamples({ inputs, config }: ModelSpec, { name, examples, indices, size }: Dataset): void {
  const layout = examples.layout([]);
  for (const [input, expected] of Object.entries(inputs)) {
    const found = layout[input];
    if (found && isLike(expected, found)) continue;
    const shape = expected.shape.map((length) => length ?? 'any').join(',');
    throw new InputError(
      `${name}: expected examples of shape [${shape}] for the model, found ${found ? `[${found.shape}]` : `no ${input}`}`,
    );
  }
  if (size === 0) throw new InputError(`${name}: expected at least one example, found none`);
  if (!(examples instanceof TextExamples)) return;
  const { vocab_size: vocabulary, max_position_embeddings: positions } = config as Readonly<Record<string, unknown>>;
  if (typeof vocabulary === 'number' && examples.highest >= vocabulary) {
    throw new InputError(
      `${name}: expected tokens of the model's vocabulary of ${vocabulary}, found number ${examples.highest}; is the tokenizer another model's?`,
    );
  }
  const [width] = examples.layout(indices).input_ids.shape;
  if (typeof positions === 'number' && width > positions) {
    throw new InputError(
      `${name}: expected texts of at most the ${positions} tokens that the model reads, found one padded to ${width}; give data.maxLength`,
    );
  }
}

/**
 * Checks that a data set has texts, and that they are what a model takes.
 *
 * @throws InputError saying what does not fit.
 */
export function requireTokens(model: ModelSpec, dataset: Dataset): void {
  requireExamples(model, dataset);
  if ('attention_mask' in dataset.examples.layout([])) return;
  throw new InputError(`${dataset.name}: expected texts with an attention_mask, found none`);
}

/**
 * Checks that a model has a kind of head.
 *
 * @throws InputError naming both.
 */
export function requireHead({ head, architecture }: ModelSpec, kind: string): void {
  if (head.kind === kind) return;
  throw new InputError(`${architecture.name}: expected a head ${kind} for the task, found ${head.kind}`);
}
