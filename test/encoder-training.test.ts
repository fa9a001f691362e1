import { describe, expect, it } from 'vitest';
import { createDataset, type LabelledDataset, TextExamples } from '../src/data/index.js';
import { architectures, initializeModel, parameterSet } from '../src/models/index.js';
import { tasks } from '../src/tasks/index.js';
import { adamw, createObjective, Evaluator, runSteps } from '../src/training/index.js';
import { hashed } from './support/linalg-fixtures.js';

const engine = { threads: 1 };

/** Texts of 3 to 8 tokens; the class is which of the tokens 5 and 6 comes first, so that order matters and length does not. */
function ordered(size: number, seed: number): LabelledDataset {
  const numbers = hashed(seed, size * 32);
  const labels = new Int32Array(size);
  const encodings = Array.from({ length: size }, (_, text) => {
    const at = (place: number, count: number) => Math.floor(((numbers[text * 32 + place] + 1) / 2) * count);
    const length = 3 + at(0, 6);
    const ids = Array.from({ length }, (_, place) => (place === 0 ? 2 : 7 + at(place + 1, 9)));
    const first = 1 + at(30, length - 2);
    const second = first + 1 + at(31, length - first - 1);
    labels[text] = Number(numbers[text * 32 + 29] > 0);
    [ids[first], ids[second]] = labels[text] === 0 ? [5, 6] : [6, 5];
    return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
  });
  return createDataset(new TextExamples(encodings, { padId: 1 }), { name: 'ordered', labels, classes: ['5', '6'] });
}

const bertLike = { hidden_size: 24, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 48 };
const common = { vocab_size: 16, pad_token_id: 1, max_position_embeddings: 40 };
const distances = {
  relative_attention: true,
  pos_att_type: 'p2c|c2p',
  share_att_key: true,
  norm_rel_ebd: 'layer_norm',
};
const families: [string, Record<string, unknown>][] = [
  ['bert', bertLike],
  ['roberta', bertLike],
  ['distilbert', { dim: 24, n_layers: 2, n_heads: 2, hidden_dim: 48 }],
  ['deberta-v2', { ...bertLike, ...distances, position_buckets: 8, position_biased_input: false }],
];

describe('an encoder from scratch learns which of two tokens comes first', () => {
  it.each(families)('%s', async (name, keys) => {
    const [train, test] = [ordered(512, 1), ordered(128, 2)];
    const example = train.examples.layout([0]);
    const fitted = architectures.get(name).fit(example, tasks.get('classification').headFor(train));
    const model = initializeModel(name, { ...common, ...keys, initializer_range: 0.1, ...fitted }, 3);
    const params = parameterSet(model.weights);
    const evaluator = new Evaluator(model, engine, { batchSize: 64 });
    const before = await evaluator.evaluate(params, test);
    const objective = await createObjective({ model, dataset: train, batchSize: 32, seed: 2, engine });
    await runSteps({
      params,
      compute: (current, step) => objective.compute(current, step),
      optimizer: adamw(),
      learningRate: 0.003,
      steps: 160,
    });
    const after = await evaluator.evaluate(params, test);
    await Promise.all([objective.release(), evaluator.release()]);
    expect(before.metrics.accuracy).toBeLessThan(0.65);
    expect(after.metrics.accuracy).toBeGreaterThan(0.9);
  });
});
