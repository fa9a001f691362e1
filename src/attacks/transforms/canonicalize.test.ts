import { describe, expect, it } from 'vitest';
import { exactSingularValues, RandomStream } from '../../linalg/index.js';
import {
  architectures,
  cloneWeights,
  initializeModel,
  type Model,
  modelState,
  parameterSet,
  parseConfig,
  type StateDict,
} from '../../models/index.js';
import { structureOf } from '../../symmetries/index.js';
import { Evaluator } from '../../training/index.js';
import { canonicalizeOptions, canonicalizeTransform, canonicalizeWeights } from './index.js';

const text = { vocab_size: 20, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 12 };
const shared = { ...text, num_key_value_heads: 2, max_position_embeddings: 32, pad_token_id: 0 };
const deep = { feed_forward: { depth: 3, rank: 5 } };
const small: Record<string, Record<string, unknown>> = {
  vit: { ...text, vocab_size: undefined, num_channels: 1, image_size: 8, patch_size: 4 },
  gpt2: { vocab_size: 20, n_embd: 16, n_layer: 2, n_head: 4, n_positions: 16 },
  distilbert: { vocab_size: 20, dim: 16, n_layers: 2, n_heads: 4, hidden_dim: 12 },
  bert: text,
  roberta: { ...text, pad_token_id: 1 },
  'xlm-roberta': { ...text, pad_token_id: 1 },
  'deberta-v2': { ...text, relative_attention: true, pos_att_type: 'p2c|c2p', max_position_embeddings: 16 },
  llama: { ...shared, attention_bias: true, tie_word_embeddings: false },
  mistral: shared,
  qwen2: shared,
  qwen3: { ...shared, head_dim: 4 },
  gemma3_text: { ...shared, head_dim: 4 },
  'bert-dlr': { ...text, ...deep },
  'llama-dlr': { ...shared, ...deep },
};
delete small.vit.vocab_size;
for (const name of ['bert-dlr', 'llama-dlr']) delete small[name].intermediate_size;
const images: Record<string, unknown> = { image_size: 16 };
const configOf = (name: string) => small[name] ?? (name === 'mlp' ? {} : images);

/** A model whose every number is drawn: first values, such as gains of 1 and biases of 0, hide mistakes. */
function drawn(name: string, config: Record<string, unknown> = configOf(name)): Model {
  const model = initializeModel(name, config, 1);
  for (const [key, { shape, data }] of model.weights) {
    const stream = new RandomStream(3, key);
    if (key.endsWith('running_var')) stream.fillUniform(data, 0.5, 2);
    else if (shape.length === 1) {
      const isGain = key.endsWith('weight') && !(name === 'gemma3_text');
      stream.fillNormal(data, isGain ? 1 : 0, 0.3);
    } else if (shape.length > 1) stream.fillNormal(data, 0, 1 / Math.sqrt(data.length / shape[0]));
  }
  return model;
}

/** What a model gives for a batch of three examples, of texts with some padding. */
async function outputsOf(model: Model, weights: StateDict): Promise<Float32Array> {
  const stream = new RandomStream(7, 'batch');
  const specs = Object.fromEntries(
    Object.entries(model.inputs).map(([name, { shape, dtype }]) => [
      name,
      { shape: [3, ...shape.map((length) => length ?? 6)], dtype },
    ]),
  );
  const batch = Object.fromEntries(
    Object.entries(specs).map(([name, { shape, dtype }]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      if (dtype === 'float32') {
        const data = new Float32Array(size);
        stream.fillNormal(data, 0, 1);
        return [name, data];
      }
      const value = (at: number) =>
        name === 'input_ids' ? 2 + (stream.uint32() % 17) : name === 'attention_mask' ? Number(at !== 5) : 0;
      return [name, BigInt64Array.from({ length: size }, (_, at) => BigInt(value(at)))];
    }),
  );
  const evaluator = new Evaluator(model, { threads: 1 });
  const found = (await evaluator.forward(parameterSet(weights), batch, specs)).values.slice();
  await evaluator.release();
  return found;
}

const canonical = (model: Model, weights: StateDict = model.weights) =>
  canonicalizeWeights(model, weights, canonicalizeOptions.parse({}));

/** The largest difference, as a share of the largest number. */
function distance(found: Float32Array, expected: Float32Array): number {
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, at) => Math.max(most, Math.abs(found[at] - value)), 0) / scale;
}

const isOther = (a: Float32Array, b: Float32Array = a) => a.some((value, at) => value !== b[at]);

const names = architectures.entries().map(({ name }) => name);
const without = ['mlp', 'cnn'];

describe('the function stays, to rounding', () => {
  it.each(names.filter((name) => !without.includes(name) && !/resnet(3|4|5)/.test(name)))('%s', async (name) => {
    const model = drawn(name);
    const changed = canonical(model);
    expect([...changed.keys()]).toEqual([...model.weights.keys()]);
    const moved = [...changed].filter(([key, { data }]) => isOther(data, model.weights.get(key)?.data));
    expect(moved.length).toBeGreaterThan(5);
    const [before, after] = [await outputsOf(model, model.weights), await outputsOf(model, changed)];
    expect(before.every(Number.isFinite)).toBe(true);
    expect(distance(after, before)).toBeLessThan(2e-5);
  });

  it('of networks that have nothing of it but ReLUs there is nothing to write otherwise', () => {
    for (const name of without) {
      const model = drawn(name, {});
      const reason = canonicalizeTransform.applies?.(
        { model, weights: model.weights, isLocked: true },
        canonicalizeOptions.parse({ rectified: false }),
      );
      expect(reason).toMatch(/^finds no attention/);
      expect(() => canonicalizeWeights(model, model.weights, canonicalizeOptions.parse({ rectified: false }))).toThrow(
        'canonicalize: expected a network with attention',
      );
    }
  });

  it('a bottleneck has two inner batch norms, and a last one that is added to', () => {
    const model = parseConfig(architectures.get('resnet50'), { image_size: 32 }, 'test');
    const shapes = new Map(modelState(model).map(({ name, shape }) => [name, { shape, data: new Float32Array() }]));
    const { batchNorms } = structureOf(model, shapes);
    expect(batchNorms).toHaveLength(53);
    const readers = batchNorms
      .filter(({ norm }) => norm.startsWith('layer1.0.'))
      .map(({ norm, convolution, reader }) => [norm, convolution.weight, reader?.weight]);
    expect(readers).toEqual([
      ['layer1.0.bn1', 'layer1.0.conv1.weight', 'layer1.0.conv2.weight'],
      ['layer1.0.bn2', 'layer1.0.conv2.weight', 'layer1.0.conv3.weight'],
      ['layer1.0.bn3', 'layer1.0.conv3.weight', undefined],
      ['layer1.0.downsample.1', 'layer1.0.downsample.0.weight', undefined],
    ]);
  });
});

type Plant = (weights: StateDict) => void;

/** Multiplies rows of a matrix, and the same elements of its bias. */
const rows =
  (module: string, which: readonly number[], factor: number): Plant =>
  (weights) => {
    const weight = weights.get(`${module}.weight`);
    const bias = weights.get(`${module}.bias`)?.data;
    const width = (weight?.data.length ?? 0) / (weight?.shape[0] ?? 1);
    expect(weight, module).toBeDefined();
    for (const row of which) {
      weight?.data.subarray(row * width, (row + 1) * width).forEach((value, at, part) => {
        part[at] = value * factor;
      });
      if (bias) bias[row] *= factor;
    }
  };

/** Multiplies columns of a matrix. */
const columns =
  (module: string, which: readonly number[], factor: number): Plant =>
  (weights) => {
    const weight = weights.get(`${module}.weight`);
    const width = (weight?.data.length ?? 0) / (weight?.shape[0] ?? 1);
    expect(weight, module).toBeDefined();
    weight?.data.forEach((value, at, all) => {
      if (which.includes(at % width)) all[at] = value * factor;
    });
  };

/** Multiplies elements of a vector. */
const elements =
  (name: string, which: readonly number[], factor: number): Plant =>
  (weights) => {
    const data = weights.get(name)?.data;
    expect(data, name).toBeDefined();
    if (data) for (const at of which) data[at] *= factor;
  };

const vit = 'vit.encoder.layer.1.';
const llama = 'model.layers.1.';
const bert = 'encoder.layer.0.';
const gpt = 'transformer.h.1.';
/** What a lock could hide, with powers of two, which round nothing: no output may change by it. */
const planted: Record<string, Plant[]> = {
  vit: [
    rows(`${vit}attention.attention.value`, [4, 5, 6, 7], 32),
    columns(`${vit}attention.output.dense`, [4, 5, 6, 7], 1 / 32),
    // Not only a factor of the head: its units differ.
    rows(`${vit}attention.attention.value`, [1], 64),
    columns(`${vit}attention.output.dense`, [1], 1 / 64),
    rows(`${vit}attention.attention.query`, [9], 16),
    rows(`${vit}attention.attention.key`, [9], 1 / 16),
    elements(`${vit}layernorm_after.weight`, [3], 8),
    elements(`${vit}layernorm_after.bias`, [3], 8),
    columns(`${vit}intermediate.dense`, [3], 1 / 8),
  ],
  llama: [
    // Keys' head 1 is that of queries' heads 2 and 3.
    rows(`${llama}self_attn.v_proj`, [4, 6], 32),
    columns(`${llama}self_attn.o_proj`, [8, 10, 12, 14], 1 / 32),
    // Pair 1 of head 0: elements 1 and 3.
    rows(`${llama}self_attn.k_proj`, [1, 3], 1 / 16),
    rows(`${llama}self_attn.q_proj`, [1, 3, 5, 7], 16),
    rows(`${llama}mlp.up_proj`, [2], 64),
    columns(`${llama}mlp.down_proj`, [2], 1 / 64),
    elements(`${llama}post_attention_layernorm.weight`, [0], 1 / 8),
    columns(`${llama}mlp.gate_proj`, [0], 8),
    columns(`${llama}mlp.up_proj`, [0], 8),
    elements('model.norm.weight', [5], 4),
    columns('lm_head', [5], 1 / 4),
  ],
  bert: [
    rows(`${bert}attention.self.value`, [2], 32),
    columns(`${bert}attention.output.dense`, [2], 1 / 32),
    rows(`${bert}attention.self.query`, [12, 13], 16),
    rows(`${bert}attention.self.key`, [12, 13], 1 / 16),
  ],
  gpt2: [
    // Stored the other way round: values are the last third of the columns.
    columns(`${gpt}attn.c_attn`, [32, 33], 32),
    elements(`${gpt}attn.c_attn.bias`, [32, 33], 32),
    rows(`${gpt}attn.c_proj`, [], 1),
    (weights) => {
      const { data } = weights.get(`${gpt}attn.c_proj.weight`) ?? { data: new Float32Array() };
      data.subarray(0, 32).forEach((value, at, part) => {
        part[at] = value / 32;
      });
    },
  ],
  qwen3: [
    elements(`${llama}self_attn.q_norm.weight`, [0, 2], 8),
    elements(`${llama}self_attn.k_norm.weight`, [0, 2], 1 / 8),
  ],
  mlp: [rows('fc1', [3, 4], 32), columns('fc2', [3, 4], 1 / 32), rows('fc2', [1], 1 / 16), columns('fc3', [1], 16)],
  cnn: [
    rows('conv1', [2], 32),
    columns(
      'conv2',
      Array.from({ length: 25 }, (_, at) => 2 * 25 + at),
      1 / 32,
    ),
    rows('fc3', [0], 8),
    columns('fc4', [0], 1 / 8),
  ],
  resnet20: [
    rows('layer2.1.conv1', [3], 32),
    elements('layer2.1.bn1.running_mean', [3], 32),
    (weights) => {
      const data = weights.get('layer2.1.bn1.running_var')?.data;
      if (data) data[3] = 1024 * (data[3] + 1e-5) - 1e-5;
    },
    elements('layer2.1.bn1.weight', [6], 16),
    elements('layer2.1.bn1.bias', [6], 16),
    columns(
      'layer2.1.conv2',
      Array.from({ length: 9 }, (_, at) => 6 * 9 + at),
      1 / 16,
    ),
  ],
};

describe('what was planted between layers is undone', () => {
  it.each(Object.keys(planted))('%s', async (name) => {
    const model = drawn(name);
    const changed = cloneWeights(model.weights);
    for (const plant of planted[name]) plant(changed);
    const [before, after] = [await outputsOf(model, model.weights), await outputsOf(model, changed)];
    expect(distance(after, before)).toBeLessThan(1e-5);
    const differing = [...changed].filter(
      ([key, { data }]) => distance(data, model.weights.get(key)?.data ?? data) > 0.5,
    );
    expect(differing.length).toBeGreaterThan(0);
    const [clean, undone] = [canonical(model), canonical(model, changed)];
    for (const [key, { data }] of clean) {
      if (data.some((value) => value !== 0))
        expect(distance(undone.get(key)?.data ?? data, data), key).toBeLessThan(1e-5);
    }
  });

  it('a raise of the spectrum by an exact symmetry is gone, one of the function is not', () => {
    const model = drawn('vit');
    const name = `${vit}attention.attention.value.weight`;
    const sigma = (weights: StateDict) => exactSingularValues(weights.get(name)?.data ?? new Float32Array(), 16, 16)[0];
    const hidden = cloneWeights(model.weights);
    for (const plant of [
      rows(`${vit}attention.attention.value`, [0, 1, 2, 3], 1024),
      columns(`${vit}attention.output.dense`, [0, 1, 2, 3], 1 / 1024),
    ])
      plant(hidden);
    expect(sigma(hidden) / sigma(model.weights)).toBeGreaterThan(300);
    expect(Math.abs(sigma(canonical(model, hidden)) / sigma(canonical(model)) - 1)).toBeLessThan(1e-5);
    const real = cloneWeights(model.weights);
    rows(`${vit}attention.attention.value`, [0, 1, 2, 3], 1024)(real);
    expect(sigma(canonical(model, real)) / sigma(canonical(model))).toBeGreaterThan(10);
  });

  it('only what is asked for', () => {
    const model = drawn('llama');
    const only = (options: object) => {
      const changed = canonicalizeWeights(model, model.weights, canonicalizeOptions.parse(options));
      return [...changed].flatMap(([key, { data }]) =>
        key.startsWith(llama) && isOther(data, model.weights.get(key)?.data) ? [key.slice(llama.length)] : [],
      );
    };
    expect(only({ heads: false, norms: false })).toEqual(['mlp.up_proj.weight', 'mlp.down_proj.weight']);
    expect(only({ gates: false, norms: false }).every((key) => key.startsWith('self_attn.'))).toBe(true);
    expect(only({ gates: false, heads: false })).toContain('input_layernorm.weight');
  });
});
