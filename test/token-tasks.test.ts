import { describe, expect, it } from 'vitest';
import { batchAt, createDataset, type LabelledDataset, NO_CLASS, subset, TextExamples } from '../src/data/index.js';
import { cloneWeights, initializeModel, type Model, parameterSet } from '../src/models/index.js';
import { tasks } from '../src/tasks/index.js';
import { adamw, createObjective, Evaluator, runSteps } from '../src/training/index.js';
import { largestDifference } from './support/compare.js';
import { compute, hashedParameters, readLanguageFixture, specOf } from './support/language-fixtures.js';
import { worstOfDigests } from './support/vision-fixtures.js';

const engine = { threads: 1 };
const families = ['bert', 'roberta', 'distilbert', 'deberta-v2'];
const ofTokens = ['masked-lm', 'token-classification'].map((name) => tasks.get(name));

describe.each(families)('%s against transformers, by the losses of tasks', (family) => {
  const { seed, texts, types, cases } = readLanguageFixture(family);
  const table = cases.filter(({ kind }) => ofTokens.some(({ head }) => head === kind));

  it.each(table)('$class: loss and every gradient, padded on both sides', async (one) => {
    const task = ofTokens.find(({ head }) => head === one.kind);
    const spec = specOf(one);
    const weights = hashedParameters(spec, seed);
    for (const given of [{}, { side: 'left' as const }, { side: 'left' as const, length: 10 }, { length: 11 }]) {
      const padding = Number(one.config.pad_token_id ?? 0);
      const found = await compute(
        spec,
        weights,
        { texts, types, padding, ...given },
        {
          seed,
          lossOf(logits, labels) {
            const loss = task?.loss?.(logits, () => labels);
            if (!loss) throw new Error('expected a loss');
            return loss;
          },
        },
      );
      expect(Math.abs(found.loss - one.batch.loss)).toBeLessThan(1e-5 * Math.max(1, Math.abs(one.batch.loss)));
      const gradient = worstOfDigests(found.gradients, one.gradients, 5e-3, seed);
      expect(gradient.error, `gradient of ${gradient.where}`).toBeLessThan(1e-5);
    }
  });
});

const vocabulary = { size: 24, maskId: 4, special: new Set([0, 1, 2, 3, 4]) };
const names = ['even', 'odd', 'ten'];

/** Texts in which each token is `step` more than the one before, from 10 on; the first of each two has a class. */
function countingTexts(lengths: readonly number[], step = 1): LabelledDataset {
  const tokens = lengths.map((length, text) => [
    1,
    ...Array.from({ length }, (_, at) => 10 + ((text + step * at) % 14)),
    2,
  ]);
  const classes = tokens.map((own) =>
    own.map((id, at) => (id < 10 || at % 2 === 0 ? NO_CLASS : id === 10 ? 2 : id % 2)),
  );
  const encodings = tokens.map((ids) => ({ ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) }));
  const examples = new TextExamples(encodings, { padId: 0, vocabulary, tokenClasses: { names, of: classes } });
  return createDataset(examples, { name: 'counting', labels: new Int32Array(lengths.length), classes: [] });
}

function tinyBert(task: string, data: LabelledDataset): Model {
  const size = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 };
  const dropout = { hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
  const { kind, labels } = tasks.get(task).headFor(data);
  const architectures = [kind === 'masked-lm' ? 'BertForMaskedLM' : 'BertForTokenClassification'];
  const keys = { architectures, ...(labels.length > 0 && { num_labels: labels.length }) };
  return initializeModel(
    'bert',
    { vocab_size: 24, max_position_embeddings: 40, initializer_range: 0.2, ...size, ...keys, ...dropout },
    2,
  );
}

describe.each(['masked-lm', 'token-classification'])('%s', (name) => {
  const lengths = [5, 12, 3, 9, 7, 30];
  const task = tasks.get(name);
  const data = countingTexts(lengths);
  const model = tinyBert(name, data);
  const params = parameterSet(model.weights);

  it('measures a text the same whatever is padded beside it', async () => {
    const original = {
      weights: parameterSet(initializeModel('bert', model.config as Record<string, unknown>, 9).weights),
    };
    const [alone, together] = [1, 6].map((batchSize) => new Evaluator(model, engine, { batchSize }));
    const one = await alone.evaluate(params, data, { original });
    const all = await together.evaluate(params, data, { original });
    expect(one.metrics.kl).toBeGreaterThan(0.01);
    for (const [metric, value] of Object.entries(one.metrics)) {
      expect(Math.abs((all.metrics[metric] ?? 0) - (value ?? 0)), metric).toBeLessThan(1e-5);
    }
    expect(await together.evaluate(params, data, { original })).toEqual(all);
    await Promise.all([alone.release(), together.release()]);
  });

  it('has the gradient of the texts one by one, by their tokens, whatever is padded', async () => {
    const view = (dataset: LabelledDataset) => task.view?.(dataset) ?? dataset;
    // Training draws masks for a batch; those of measurements are the same in any batch.
    const fixed = (positions: number[]) => {
      const plain = subset(data, positions);
      const seen = view(plain);
      if (seen === plain) return plain;
      return { ...seen, examples: Object.assign(Object.create(seen.examples), { augmented: false }) };
    };
    const gradientsOf = async (positions: number[]) => {
      const options = { model, dataset: fixed(positions), batchSize: positions.length, seed: 1, engine };
      const objective = await createObjective(options);
      const { loss, gradients } = await objective.compute(params, 0);
      await objective.release();
      return { loss, gradients };
    };
    const positions = [0, 1, 4];
    const together = await gradientsOf(positions);
    const alone = await Promise.all(positions.map((position) => gradientsOf([position])));
    const counts = positions.map((position) => {
      const hidden = batchAt(view(data), Uint32Array.of(position)).labels;
      const labels = hidden ? Array.from(hidden, Number) : [...(data.examples.tokenClasses?.of(position) ?? [])];
      return labels.filter((label) => label !== NO_CLASS).length;
    });
    const total = counts.reduce((a, b) => a + b);
    const mean = (values: readonly number[]) => values.reduce((sum, value, i) => sum + (value * counts[i]) / total, 0);
    expect(together.loss).toBeCloseTo(mean(alone.map(({ loss }) => loss)), 5);
    for (const [key, gradient] of together.gradients) {
      const expected = Array.from(gradient, (_, i) => mean(alone.map(({ gradients }) => gradients.get(key)?.[i] ?? 0)));
      expect(largestDifference(gradient, expected, 1e-3).error, key).toBeLessThan(1e-4);
    }
  });

  it('is learned, and more so than it can be guessed', async () => {
    const weights = parameterSet(cloneWeights(model.weights));
    // What is hidden is found by the others of a text, which are the same.
    const step = name === 'masked-lm' ? 0 : 1;
    const train = countingTexts(
      Array.from({ length: 96 }, (_, text) => 6 + (text % 9)),
      step,
    );
    const evaluator = new Evaluator(model, engine);
    const objective = await createObjective({ model, dataset: train, batchSize: 16, seed: 3, engine });
    await runSteps({
      params: weights,
      compute: (current, step) => objective.compute(current, step),
      optimizer: adamw(),
      learningRate: 0.01,
      steps: 250,
    });
    const { metrics } = await evaluator.evaluate(weights, train);
    await Promise.all([objective.release(), evaluator.release()]);
    const guessing = task.guessing(train);
    expect(metrics[task.roles.score]).toBeGreaterThan(guessing + 0.5 * (1 - guessing));
  });
});
