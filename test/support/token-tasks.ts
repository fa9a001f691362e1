import { type Dataset, layoutAt } from '../../src/data/index.js';
import { compile } from '../../src/engine/index.js';
import { Graph, gradients, type Tensor, type TypedArray } from '../../src/graph/index.js';
import { decodeArray, readFixture, type StoredArray } from './fixtures.js';
import { textExamples } from './texts.js';

/** A case of tools/oracles/token_tasks.py: logits of tokens, what they are to be, and what that is worth. */
export interface TokenCase {
  task: string;
  side: 'left' | 'right';
  lengths: number[];
  ids: StoredArray;
  mask: StoredArray;
  labels: StoredArray;
  logits: StoredArray;
  original: StoredArray;
  loss: number;
  gradient: StoredArray;
  kl: number;
  klGradient: StoredArray;
  k: number;
  top: number;
  topGradient: StoredArray;
  accuracy: number;
  agreement: number;
  range: [number, number];
  f1?: number;
  f1OfClass?: number[];
  recallOfClass?: number[];
}

export const { cases: tokenCases } = readFixture<{ cases: TokenCase[] }>('token-tasks.json');

const numbers = (array: StoredArray) => Array.from(decodeArray(array), Number);

/** The texts of a case, padded as there, with the classes of their tokens. */
export function datasetOf({ ids, mask, labels, logits, lengths, side }: TokenCase): Dataset {
  const [texts, tokens] = ids.shape;
  const real = numbers(mask);
  const ownOf = (array: StoredArray, row: number) =>
    numbers(array).filter((_, at) => Math.floor(at / tokens) === row && real[at] === 1);
  const rows = Array.from({ length: texts }, (_, row) => row);
  const classes = rows.map((row) => Int32Array.from(ownOf(labels, row)));
  const names = Array.from({ length: logits.shape[2] }, (_, label) => `class ${label}`);
  const examples = textExamples(
    rows.map((row) => ownOf(ids, row)),
    { side, length: tokens },
  );
  const dataset: Dataset = {
    name: 'texts',
    size: texts,
    indices: Uint32Array.from(rows),
    examples: { ...examples, tokenClasses: { names, of: (index) => classes[index] } },
  };
  if (String(lengths) !== String(examples.lengths)) throw new Error('expected the lengths of the case');
  if (layoutAt(dataset, dataset.indices).input_ids.shape[0] !== tokens) throw new Error('expected the padding');
  return dataset;
}

/** Value and gradient of a function of the logits of a case. */
export async function computed(
  { logits: stored, original, labels }: TokenCase,
  part: (logits: Tensor, original: Tensor, target: (name: string) => Tensor) => Tensor,
  more: Readonly<Record<string, TypedArray>> = {},
): Promise<{ value: number; gradient: Float32Array }> {
  const graph = new Graph();
  const logits = graph.input('logits', stored.shape);
  const target = () => graph.inputs.get('labels') ?? graph.input('labels', labels.shape, 'int64');
  const value = part(logits, graph.input('original', stored.shape), target);
  const [gradient] = gradients(value, [logits]);
  if (!gradient) throw new Error('expected a gradient');
  const program = await compile({ value, gradient }, { threads: 1 });
  const arrays = { logits: decodeArray(stored), original: decodeArray(original), labels: decodeArray(labels) };
  const results = await program.run({ ...arrays, ...more });
  await program.release();
  return { value: Number(results.value[0]), gradient: results.gradient as Float32Array };
}
