import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../../../test/support/compare.js';
import { allocateBatch } from '../../../data/index.js';
import { RandomStream } from '../../../linalg/index.js';
import {
  architectures,
  cloneWeights,
  initializeModel,
  type ModelSpec,
  parameterSet,
  parseConfig,
  type StateDict,
  type Weight,
} from '../../../models/index.js';
import { batchSpecs } from '../../../nn/index.js';
import { layerPairs } from '../../../symmetries/index.js';
import { Evaluator } from '../../../training/index.js';
import { canonicalizeOptions, canonicalizeTransform, canonicalizeWeights } from '../canonicalize.js';

const config = { num_labels: 3, channels: [4, 6], hidden_sizes: [12, 10, 8], image_size: 16, kernel_size: 3 };
// Units behind ReLUs have a balance of their own, which would hide what merging does.
const options = canonicalizeOptions.parse({ rectified: false });

/** Logits of noise. */
async function outputsOf(model: ModelSpec, weights: StateDict): Promise<Float32Array> {
  const evaluator = new Evaluator(model, { threads: 1 });
  const layout = Object.fromEntries(
    Object.entries(model.inputs).map(([name, { shape, dtype }]) => [name, { shape: shape.map((n) => n ?? 6), dtype }]),
  );
  const specs = batchSpecs(layout, 4);
  const batch = allocateBatch(specs);
  const stream = new RandomStream(3, 'noise');
  for (const [name, values] of Object.entries(batch)) {
    const isMask = name === 'attention_mask';
    for (let i = 0; i < values.length; i++) {
      const value = isMask ? 1 : name === 'x' ? stream.normal() : name === 'input_ids' ? (7 * i + 3) % 19 : 0;
      (values as { [index: number]: number | bigint })[i] = values instanceof BigInt64Array ? BigInt(value) : value;
    }
  }
  const { values } = await evaluator.forward(parameterSet(weights), batch, specs);
  const found = values.slice();
  await evaluator.release();
  return found;
}

const dataOf = (weights: ReadonlyMap<string, Weight>, name: string) => weights.get(name)?.data ?? new Float32Array();

/** Makes unit `copy` of a layer `factor` times unit `of`, and hides what cancels in what reads them. */
function plant(weights: Map<string, Weight>, [into, out]: [string, string], hidden: number, kernel: number): void {
  const [w, b, o] = [
    dataOf(weights, `${into}.weight`),
    dataOf(weights, `${into}.bias`),
    dataOf(weights, `${out}.weight`),
  ];
  const [of, copy, factor] = [1, 2, 3];
  const width = w.length / b.length;
  for (let i = 0; i < width; i++) w[copy * width + i] = factor * w[of * width + i];
  b[copy] = factor * b[of];
  const columns = b.length * kernel;
  for (let row = 0; row < o.length / columns; row++) {
    for (let i = 0; i < kernel; i++) {
      o[row * columns + copy * kernel + i] += hidden / factor;
      o[row * columns + of * kernel + i] -= hidden;
    }
  }
}

describe('layers that meet in units', () => {
  it('are the neighbours of an MLP and of a CNN, the inner ones of blocks, and feed-forward layers without gates', () => {
    const pairs = (name: string, keys: Record<string, unknown>) =>
      layerPairs(parseConfig(architectures.get(name), keys, 'test')).map(
        ({ into, out, between }) =>
          `${into.weight.replace('.weight', '')} ${out.weight.replace('.weight', '')} ${between}`,
      );
    expect(pairs('cnn', config)).toEqual([
      'conv1 conv2 homogeneous',
      'conv2 fc1 homogeneous',
      'fc1 fc2 homogeneous',
      'fc2 fc3 homogeneous',
      'fc3 fc4 homogeneous',
    ]);
    expect(pairs('resnet20', {}).slice(0, 2)).toEqual([
      'layer1.0.conv1 layer1.0.conv2 homogeneous',
      'layer1.1.conv1 layer1.1.conv2 homogeneous',
    ]);
    const small = {
      vocab_size: 20,
      hidden_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      intermediate_size: 12,
    };
    expect(pairs('bert', { ...small, hidden_act: 'linear', pad_token_id: 0 })[0]).toMatch(
      /intermediate\.dense .*output\.dense nothing$/,
    );
    expect(pairs('bert', { ...small, hidden_act: 'gelu', pad_token_id: 0 })[0]).toMatch(/output\.dense other$/);
    expect(pairs('llama', small)).toEqual([]);
  });
});

describe('canonicalize', () => {
  it('merges units that give the same, and what cancels between them, in linear layers and convolutions', async () => {
    const model = initializeModel('cnn', config, 1);
    expect(canonicalizeTransform.applies?.({ model, weights: model.weights, isLocked: true }, options)).toMatch(
      /^finds no attention/,
    );
    const planted = cloneWeights(model.weights);
    plant(planted, ['conv1', 'conv2'], 0, 9);
    plant(planted, ['conv2', 'fc1'], 0, 4);
    plant(planted, ['fc1', 'fc2'], 0, 1);
    const plain = cloneWeights(planted);
    plant(planted, ['conv1', 'conv2'], 100, 9);
    plant(planted, ['conv2', 'fc1'], 100, 4);
    plant(planted, ['fc1', 'fc2'], 100, 1);
    const found = canonicalizeWeights(model, planted, options);
    for (const name of ['conv2.weight', 'fc1.weight', 'fc2.weight']) {
      const size = (weights: ReadonlyMap<string, Weight>) => Math.hypot(...dataOf(weights, name));
      expect(size(planted) / size(plain), name).toBeGreaterThan(20);
      expect(size(found) / size(plain), name).toBeLessThan(1.0001);
      // It depends on the function alone: from the weights without what was hidden comes the same.
      const other = canonicalizeWeights(model, plain, options);
      expect(largestDifference(dataOf(found, name), dataOf(other, name)).error, name).toBeLessThan(1e-3);
    }
    expect(largestDifference(await outputsOf(model, found), await outputsOf(model, plain)).error).toBeLessThan(1e-3);
  });

  it('undoes a matrix and its inverse between linear layers in a row', async () => {
    const keys = {
      vocab_size: 20,
      hidden_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      intermediate_size: 12,
    };
    const model = initializeModel(
      'bert',
      { ...keys, hidden_act: 'linear', pad_token_id: 0, architectures: ['BertForSequenceClassification'] },
      1,
    );
    const at = 'bert.encoder.layer.0';
    const [w, b] = ['weight', 'bias'].map((part) => `${at}.intermediate.dense.${part}`);
    const out = `${at}.output.dense.weight`;
    dataOf(model.weights, b).forEach((_, at, bias) => {
      bias[at] = 0.02 * Math.sin(at + 1);
    });
    const planted = cloneWeights(model.weights);
    // A: the identity with one entry beside the diagonal, and one unit 50 times as large.
    const [first, bias, second] = [dataOf(planted, w), dataOf(planted, b), dataOf(planted, out)];
    for (let i = 0; i < 8; i++) first[i] = 50 * (first[i] + 20 * first[8 + i]);
    bias[0] = 50 * (bias[0] + 20 * bias[1]);
    for (let row = 0; row < 8; row++) {
      second[row * 12 + 1] -= 20 * second[row * 12];
      second[row * 12] /= 50;
    }
    const [found, expected] = [planted, model.weights].map((given) => canonicalizeWeights(model, given, options));
    for (const name of [w, b, out]) {
      expect(largestDifference(dataOf(planted, name), dataOf(expected, name)).error, name).toBeGreaterThan(1e-2);
      expect(largestDifference(dataOf(found, name), dataOf(expected, name)).error, name).toBeLessThan(1e-4);
    }
    const outputs = await outputsOf(model, model.weights);
    expect(largestDifference(await outputsOf(model, found), outputs).error).toBeLessThan(1e-4);
  });
});
