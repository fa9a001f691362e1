import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../test/support/compare.js';
import { decodeArray } from '../../test/support/fixtures.js';
import { computed, datasetOf, type TokenCase, tokenCases } from '../../test/support/token-tasks.js';
import { gatherElements, gradients, logSoftmax, mul, reduceSum, type Tensor } from '../graph/index.js';
import { tasks } from './index.js';
import { LEAST_REST, topDivergence } from './token-losses.js';

const table = tokenCases.map((each) => [`${each.task} padded on the ${each.side}`, each] as const);

function taskOf({ task: name }: TokenCase) {
  const task = tasks.get(name);
  const { loss } = task;
  if (!loss) throw new Error('expected a loss');
  return { ...task, loss };
}

describe.each(table)('%s', (_, each) => {
  const task = taskOf(each);

  it('has the loss of transformers and its gradient', async () => {
    const { value, gradient } = await computed(each, (logits, __, target) => task.loss(logits, target));
    expect(value).toBeCloseTo(each.loss, 5);
    expect(largestDifference(gradient, decodeArray(each.gradient)).error).toBeLessThan(5e-6);
  });

  it('has the KL of torch over the same tokens', async () => {
    const { value, gradient } = await computed(each, task.divergence);
    expect(value).toBeCloseTo(each.kl, 5);
    expect(largestDifference(gradient, decodeArray(each.klGradient)).error).toBeLessThan(5e-6);
  });

  it('has the curvature of its loss', async () => {
    const along = (first: Tensor, logits: Tensor, u: Tensor) => {
      const [slope] = gradients(first, [logits]);
      const [product] = slope ? gradients(reduceSum(mul(slope, u)), [logits]) : [];
      if (!product) throw new Error('expected a second derivative');
      return product;
    };
    const product = async (of: (logits: Tensor, original: Tensor, target: (name: string) => Tensor) => Tensor) =>
      (await computed(each, (logits, original, target) => reduceSum(mul(of(logits, original, target), original))))
        .value;
    const own = await product(task.curvature);
    const hessian = await product((logits, original, target) => along(task.loss(logits, target), logits, original));
    expect(own).toBeGreaterThan(0);
    expect(own).toBeCloseTo(hessian, 5);
  });

  it('has the KL of the most likely answers and one for all others', async () => {
    const width = each.logits.shape[2];
    const original = decodeArray(each.original) as Float32Array;
    const rows = original.length / width;
    const answers = new Int32Array(rows * each.k);
    const rest = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      const own = [...original.subarray(row * width, (row + 1) * width)];
      const order = [...own.keys()].sort((a, b) => own[b] - own[a]);
      answers.set(order.slice(0, each.k), row * each.k);
      const total = own.reduce((sum, value) => sum + Math.exp(value), 0);
      const left = order.slice(each.k).reduce((sum, at) => sum + Math.exp(own[at]) / total, 0);
      rest[row] = Math.log(Math.max(left, LEAST_REST));
    }
    const { value, gradient } = await computed(
      each,
      (logits, other, target) => {
        const { graph, shape } = logits;
        const known = graph.input('answers', [...shape.slice(0, 2), each.k], 'int32');
        return topDivergence(
          logits,
          {
            answers: known,
            logProbabilities: gatherElements(logSoftmax(other, 2), known, 2),
            rest: graph.input('rest', [...shape.slice(0, 2), 1]),
          },
          target,
        );
      },
      { answers, rest },
    );
    expect(value).toBeCloseTo(each.top, 5);
    expect(value).toBeLessThan(each.kl);
    expect(largestDifference(gradient, decodeArray(each.topGradient)).error).toBeLessThan(5e-6);
  });

  it('counts the targets that its mean is over', () => {
    const labels = decodeArray(each.labels) as BigInt64Array;
    expect(task.count?.({ labels })).toBe(labels.filter((label) => label >= 0n).length);
  });
});

it('causal language models take the next token of texts that are padded on the left', () => {
  const each = tokenCases.find(({ task }) => task === 'causal-lm');
  if (!each) throw new Error('expected a case');
  const dataset = datasetOf(each);
  const width = each.logits.shape[2];
  const meter = tasks.get('causal-lm').meter(dataset, width, { compares: true });
  const arrays = [each.logits, each.original].map((stored) => decodeArray(stored) as Float32Array);
  const [values, original] = arrays;
  meter.add({ positions: dataset.indices, values, original, shape: each.logits.shape });
  const { metrics } = meter.result();
  expect(metrics.loss).toBeCloseTo(each.loss, 6);
  expect(metrics).toMatchObject({ tokenAccuracy: each.accuracy, agreement: each.agreement });
});
