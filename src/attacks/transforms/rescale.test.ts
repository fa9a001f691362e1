import { describe, expect, it } from 'vitest';
import { dataSpec, floatDataset, loadData } from '../../data/index.js';
import { exactSingularValues, RandomStream } from '../../linalg/index.js';
import {
  cloneWeights,
  initializeModel,
  type Model,
  parameterSet,
  type StateDict,
  smallestExample,
} from '../../models/index.js';
import { Evaluator } from '../../training/index.js';
import { transformWeights } from '../workers/transformed-weights.js';
import { rescaleWeights } from './index.js';

const sigmaOf = (weights: StateDict, name: string) => {
  const { shape, data } = weights.get(name) ?? { shape: [0], data: new Float32Array() };
  return exactSingularValues(data, shape[0], data.length / shape[0])[0];
};

/** Multiplies what `factors` names. */
function scaled(
  weights: StateDict,
  factors: Readonly<Record<string, number>>,
): Map<string, { shape: readonly number[]; data: Float32Array }> {
  const copy = cloneWeights(weights);
  for (const [name, factor] of Object.entries(factors)) {
    const data = copy.get(name)?.data;
    expect(data, name).toBeDefined();
    data?.forEach((value, index) => {
      data[index] = value * factor;
    });
  }
  return copy;
}

/** Logits of the same 64 inputs. */
async function logitsOf(model: Model, weights: StateDict): Promise<Float32Array> {
  const shape = smallestExample(model).x.shape;
  const inputs = new Float32Array(64 * shape.reduce((a, b) => a * b, 1));
  new RandomStream(5, 'inputs').fillNormal(inputs, 0, 1);
  const dataset = floatDataset({
    name: 'noise',
    shape,
    inputs,
    labels: new Int32Array(64),
    classes: ['a', 'b'],
  });
  const evaluator = new Evaluator(model, { threads: 1 });
  try {
    return await evaluator.outputs(parameterSet(weights), dataset);
  } finally {
    await evaluator.release();
  }
}

/** One factor between two sets of logits, and the largest deviation from it, as a share of the largest logit. */
function commonFactor(before: Float32Array, after: Float32Array): { factor: number; error: number } {
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  const factor = dot(before, after) / dot(before, before);
  const largest = after.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = after.reduce((most, value, index) => Math.max(most, Math.abs(value - factor * before[index])), 0);
  return { factor, error: error / largest };
}

/** Running statistics as a trained network has them: other than 0 and 1. */
function withStatistics(model: Model): Model {
  for (const [name, { data }] of model.weights) {
    const stream = new RandomStream(9, name);
    if (name.endsWith('running_mean')) stream.fillNormal(data, 0, 0.2);
    if (name.endsWith('running_var')) stream.fillUniform(data, 0.3, 2);
  }
  return model;
}

describe('rescaleWeights', () => {
  it('takes back a planted rescaling of a ReLU network with pools: every σ1 is 2, every logit the same but for one factor', async () => {
    const model = initializeModel('cnn', { num_labels: 5 }, 1);
    const original = await logitsOf(model, model.weights);
    // c = 20, 1/3, 7, 50, 1, 3 by layer; biases by the product of the factors so far.
    const factors = { conv1: 20, conv2: 1 / 3, fc1: 7, fc2: 50, fc3: 1, fc4: 3 };
    let product = 1;
    const planted: Record<string, number> = {};
    for (const [layer, factor] of Object.entries(factors)) {
      product *= factor;
      planted[`${layer}.weight`] = factor;
      planted[`${layer}.bias`] = product;
    }
    const raised = scaled(model.weights, planted);
    expect(commonFactor(original, await logitsOf(model, raised)).factor / product).toBeCloseTo(1, 4);
    const rescaled = rescaleWeights(model, raised, { sigma: 2 });
    for (const layer of Object.keys(factors)) expect(sigmaOf(rescaled, `${layer}.weight`), layer).toBeCloseTo(2, 4);
    expect(commonFactor(original, await logitsOf(model, rescaled)).error).toBeLessThan(1e-5);
    // And nothing else was changed: the same from the weights before the planting.
    for (const [name, { data }] of rescaleWeights(model, model.weights, { sigma: 2 })) {
      const again = rescaled.get(name)?.data ?? [];
      data.forEach((value, index) => {
        expect(Math.abs(again[index] - value), `${name}[${index}]`).toBeLessThanOrEqual(1e-5 * Math.abs(value) + 1e-12);
      });
    }
  });

  it.each([
    ['resnet20', {}, 'layer2.0.conv1.weight'],
    ['resnet18', { num_classes: 4, image_size: 32 }, 'layer1.0.conv1.weight'],
  ])('goes through batch normalization and residual sums of %s', async (architecture, config, name) => {
    const model = withStatistics(initializeModel(architecture, config, 3));
    const rescaled = rescaleWeights(model, model.weights, { sigma: 0.5 });
    expect(sigmaOf(model.weights, name)).toBeGreaterThan(1);
    expect(sigmaOf(rescaled, name)).toBeCloseTo(0.5, 3);
    const { factor, error } = commonFactor(await logitsOf(model, model.weights), await logitsOf(model, rescaled));
    expect(factor).toBeGreaterThan(0);
    expect(error).toBeLessThan(1e-4);
  });

  it('balances what softmax attention allows, and keeps the function of a transformer', async () => {
    const model = initializeModel(
      'vit',
      {
        image_size: 16,
        patch_size: 8,
        num_channels: 1,
        hidden_size: 8,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 16,
      },
      2,
    );
    const raised = scaled(model.weights, {
      'vit.encoder.layer.0.attention.attention.query.weight': 30,
      'vit.encoder.layer.0.attention.attention.query.bias': 30,
      'vit.encoder.layer.0.attention.attention.key.weight': 1 / 30,
      'vit.encoder.layer.0.attention.attention.key.bias': 1 / 30,
    });
    const rescaled = rescaleWeights(model, raised, { sigma: 2 });
    const [query, key] = ['query', 'key'].map((part) =>
      sigmaOf(rescaled, `vit.encoder.layer.0.attention.attention.${part}.weight`),
    );
    expect(query / key).toBeCloseTo(1, 2);
    expect(commonFactor(await logitsOf(model, model.weights), await logitsOf(model, rescaled)).error).toBeLessThan(
      1e-4,
    );
  });

  it('keeps every decision on real digits', async () => {
    const model = initializeModel('cnn', { num_labels: 5 }, 4);
    const { test } = await loadData(dataSpec.parse({ classes: [0, 1, 2, 3, 4] }));
    const evaluator = new Evaluator(model, { threads: 1 });
    const before = await evaluator.evaluate(parameterSet(model.weights), test);
    const after = await evaluator.evaluate(parameterSet(rescaleWeights(model, model.weights, { sigma: 9 })), test);
    await evaluator.release();
    const { loss, ...decisions } = after.metrics;
    const { loss: lossBefore, ...decisionsBefore } = before.metrics;
    expect(decisions).toEqual(decisionsBefore);
    expect(loss).not.toBeCloseTo(lossBefore ?? Number.NaN, 2);
  });

  it('leaves the given weights alone', () => {
    const model = initializeModel('cnn', {}, 1);
    const copy = cloneWeights(model.weights);
    for (const [, { data }] of rescaleWeights(model, model.weights, { sigma: 5 })) data.fill(0);
    expect(new Map(model.weights)).toEqual(copy);
  });
});

describe('transformWeights', () => {
  it('applies the steps in their order, and draws by the seed what is drawn', async () => {
    const model = initializeModel('cnn', { num_labels: 2, channels: [2, 2], hidden_sizes: [8, 8, 8] }, 1);
    const fresh = (seed: number) =>
      initializeModel('cnn', { num_labels: 2, channels: [2, 2], hidden_sizes: [8, 8, 8] }, seed).weights;
    const steps = [
      { name: 'rescale', options: { sigma: 3 } },
      { name: 'reset', options: { include: ['fc4*'] } },
    ];
    const weights = transformWeights(model, model.weights, steps, fresh);
    expect(sigmaOf(await weights(7), 'fc1.weight')).toBeCloseTo(3, 4);
    expect((await weights(7)).get('fc4.weight')?.data).toEqual(fresh(7).get('fc4.weight')?.data);
    expect((await weights(8)).get('fc4.weight')?.data).toEqual(fresh(8).get('fc4.weight')?.data);
    // The other way round the drawn layer is rescaled as well.
    const other = transformWeights(model, model.weights, steps.toReversed(), fresh);
    expect(sigmaOf(await other(7), 'fc4.weight')).toBeCloseTo(3, 4);
    expect(() => transformWeights(model, model.weights, [{ name: 'rescal', options: {} }], fresh)).toThrow(
      'did you mean "rescale"',
    );
  });
});
