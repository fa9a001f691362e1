import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Dataset, dataSpec, loadData } from '../../data/index.js';
import { ProgramCache } from '../../engine/index.js';
import { exactSingularValues } from '../../linalg/index.js';
import { architectures, initializeModel, type Model, modelState, parseConfig } from '../../models/index.js';
import { Evaluator, type ParameterSet } from '../../training/index.js';
import type { SearchPoint } from '../search/space.js';
import { noWork } from '../trial/work.js';
import type { SearchContext, TrainedPart } from './index.js';
import { layerOrder, trainedParts } from './index.js';

const small: Record<string, Record<string, unknown>> = {
  vit: { hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12 },
  gpt2: { vocab_size: 20, n_embd: 8, n_layer: 2, n_head: 2, n_positions: 16 },
  distilbert: { vocab_size: 20, dim: 8, n_layers: 2, n_heads: 2, hidden_dim: 12 },
};
const text = { vocab_size: 20, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 12 };
function keysOf(name: string): Record<string, unknown> {
  const { shape } = architectures.get(name).config;
  if (small[name] || !('vocab_size' in shape)) return small[name] ?? {};
  const { intermediate_size, ...others } = text;
  const inner = 'feed_forward' in shape ? { feed_forward: { depth: 2, rank: 3 } } : { intermediate_size };
  return { ...others, ...inner, pad_token_id: 0, ...('num_key_value_heads' in shape && { num_key_value_heads: 2 }) };
}

describe('layerOrder', () => {
  const blocks: Record<string, number> = { resnet18: 8, resnet34: 16, resnet50: 16, mlp: 2, cnn: 5 };
  for (const depth of [20, 32, 44, 56]) blocks[`resnet${depth}`] = (depth - 2) / 2;

  it.each(architectures.entries().map(({ name }) => name))('finds the blocks of %s, each parameter once', (name) => {
    const model = parseConfig(architectures.get(name), keysOf(name), 'test');
    const order = layerOrder(model);
    expect(order.blocks).toHaveLength(blocks[name] ?? 2);
    const all = [...order.stem, ...order.blocks.flat(), ...order.head];
    expect(new Set(all).size).toBe(all.length);
    const parameters = modelState(model).filter(({ kind }) => kind === 'parameter');
    expect(all.toSorted()).toEqual(parameters.map((each) => each.name).toSorted());
    for (const each of order.head) expect(each).not.toMatch(/\.\d+\.(.*\.)?(weight|bias)$/);
  });

  it('knows the head', () => {
    const head = (name: string, more: object = {}) =>
      layerOrder(parseConfig(architectures.get(name), { ...keysOf(name), ...more }, 'test')).head;
    expect(head('mlp')).toEqual(['fc3.weight', 'fc3.bias']);
    expect(head('resnet18')).toEqual(['fc.weight', 'fc.bias']);
    expect(head('vit')).toEqual(['vit.layernorm.weight', 'vit.layernorm.bias', 'classifier.weight', 'classifier.bias']);
    expect(head('bert', { architectures: ['BertForSequenceClassification'] })).toEqual([
      'bert.pooler.dense.weight',
      'bert.pooler.dense.bias',
      'classifier.weight',
      'classifier.bias',
    ]);
    expect(head('llama', { tie_word_embeddings: true })).toEqual(['model.norm.weight']);
  });
});

let digits: { train: Dataset; test: Dataset };
const programs = new ProgramCache({ threads: 1 });
beforeAll(async () => {
  digits = await loadData(dataSpec.parse({ classes: [0, 1], testLimit: 100 }));
});
afterAll(() => programs.release());

/** Trains a part with AdamW: its score, the weights before and after, and at which points of a search it asked for them. */
async function train(
  name: string,
  model: Model,
  {
    options = {},
    steps = 2,
    rate = -2,
    point,
  }: { options?: object; steps?: number; rate?: number; point?: SearchPoint } = {},
) {
  const part: TrainedPart = trainedParts.get(name);
  const evaluator = new Evaluator(model, { threads: 1 });
  const seen: Map<string, Float32Array>[] = [];
  const copy = (params: ParameterSet) => new Map([...params].map(([key, data]) => [key, data.slice()]));
  const evaluate = vi.spyOn(evaluator, 'evaluate');
  const plain = Evaluator.prototype.evaluate.bind(evaluator);
  evaluate.mockImplementation((params, ...rest) => {
    seen.push(copy(params));
    return plain(params, ...rest);
  });
  const asked: (SearchPoint | undefined)[] = [];
  const context: SearchContext = {
    model,
    prepared: async (_, at) => {
      asked.push(at);
      return { weights: model.weights, work: noWork };
    },
    released: async () => ({ weights: model.weights, evaluator }),
    ...{ weightsOf: () => 'all', releasedOf: () => 'all' },
    train: () => digits.train,
    optimizer: { name: 'adamw', options: { weightDecay: 0 } },
    shared: { test: digits.test, steps, batchSize: 32, giveUpBelow: -1 },
    budget: {
      ...(point ? { at: { learningRate: 10 ** rate, point } } : {}),
      ...{ decades: [rate], refine: false, searchSeeds: [5], seeds: [1] },
    },
    programs,
    evaluator,
    log: {},
  };
  const { trials } = await part.search(context, part.options.parse(options));
  await evaluator.release();
  const [first, last] = [seen[0], seen[seen.length - 1]];
  const changed = [...last].flatMap(([key, data]) => (String(first.get(key)) === String(data) ? [] : [key]));
  return { score: trials[0].score, first, last, changed, asked };
}

const mlp = () => initializeModel('mlp', { num_labels: 2, hidden_sizes: [16, 12] }, 1);
const vit = () =>
  initializeModel(
    'vit',
    { ...small.vit, num_channels: 1, image_size: 28, patch_size: 14, num_labels: 2, hidden_size: 16 },
    1,
  );
const vitBlock = (layer: number, names: readonly string[]) =>
  names.flatMap((name) => ['weight', 'bias'].map((kind) => `vit.encoder.layer.${layer}.${name}.${kind}`));

describe('a part trains what its name says, and nothing else', () => {
  it('by-name', async () => {
    const options = { include: ['fc*'], exclude: ['*.bias', 'fc2*'] };
    expect((await train('by-name', mlp(), { options })).changed).toEqual(['fc1.weight', 'fc3.weight']);
  });

  it('top-layers', async () => {
    const found = await train('top-layers', vit(), { options: { blocks: 1 } });
    expect(found.changed.filter((name) => name.includes('layer.0.'))).toEqual([]);
    expect(found.changed.filter((name) => name.includes('layer.1.'))).toHaveLength(16);
    expect(found.changed.filter((name) => !name.includes('.layer.'))).toEqual(layerOrder(vit()).head);
    const head = await train('top-layers', mlp(), { options: { blocks: 0 } });
    expect(head.changed).toEqual(['fc3.weight', 'fc3.bias']);
  });

  it('norms-biases', async () => {
    const { changed } = await train('norms-biases', vit());
    const model = vit();
    const oneAxis = [...model.weights].flatMap(([name, { shape }]) => (shape.length === 1 ? [name] : []));
    // The bias of keys adds the same to all scores of a query, so nothing depends on it.
    expect(changed.filter((name) => !name.includes('key.bias'))).toEqual(
      oneAxis.filter((name) => !name.includes('key.bias')),
    );
  });

  it('attention', async () => {
    const { changed } = await train('attention', vit());
    const parts = [
      'attention.attention.query',
      'attention.attention.key',
      'attention.attention.value',
      'attention.output.dense',
    ];
    const expected = [0, 1].flatMap((layer) => vitBlock(layer, parts));
    const noKeyBias = (name: string) => !name.includes('key.bias');
    expect(changed.filter(noKeyBias)).toEqual(expected.filter(noKeyBias));
  });

  it('head: another one than the released, the same for a seed', async () => {
    const model = mlp();
    const { first, last, changed } = await train('head', model);
    expect(changed).toEqual(['fc3.weight', 'fc3.bias']);
    const drawn = first.get('fc3.weight');
    expect(drawn).not.toEqual(model.weights.get('fc3.weight')?.data);
    expect(first.get('fc2.weight')).toEqual(model.weights.get('fc2.weight')?.data);
    expect((await train('head', model)).last.get('fc3.weight')).toEqual(last.get('fc3.weight'));
  });

  it('lora: changes of the rank that it is given', async () => {
    const { first, last, changed } = await train('lora', mlp(), { options: { rank: 2, alpha: 4 }, steps: 4 });
    expect(changed).toEqual(['fc1.weight', 'fc2.weight', 'fc3.weight', 'fc3.bias']);
    for (const [name, rows] of [
      ['fc1.weight', 16],
      ['fc2.weight', 12],
    ] as const) {
      const before = first.get(name) ?? new Float32Array();
      const change = (last.get(name) ?? before).map((value, index) => value - before[index]);
      const sigma = exactSingularValues(change, rows, change.length / rows);
      expect(sigma[1] / sigma[0], name).toBeGreaterThan(1e-3);
      // What is left is rounding of the merged weights.
      expect(sigma[2] / sigma[0], name).toBeLessThan(1e-4);
    }
  });

  it('dora: the same layers, by more than the rank', async () => {
    const { first, last, changed } = await train('dora', mlp(), { options: { rank: 1 }, steps: 4 });
    expect(changed).toEqual(['fc1.weight', 'fc2.weight', 'fc3.weight', 'fc3.bias']);
    const before = first.get('fc2.weight') ?? new Float32Array();
    const change = (last.get('fc2.weight') ?? before).map((value, index) => value - before[index]);
    const sigma = exactSingularValues(change, 12, 16);
    expect(sigma[1] / sigma[0]).toBeGreaterThan(1e-3);
  });
});

describe('a part begins with the weights of the point that its search is at', () => {
  const needed: Record<string, object> = { 'by-name': { include: ['*'] } };
  const trained = trainedParts.entries().filter(({ trains }) => trains);
  it.each(trained.map(({ name }) => name))('%s', async (name) => {
    const point = { 'clip-partly.share': 0.5 };
    const { asked } = await train(name, vit(), { options: needed[name], point });
    expect(asked).toEqual([point]);
  });
});

describe('a part learns where it must', () => {
  it.each([
    ['by-name', { include: ['fc1*'] }],
    ['top-layers', { blocks: 1 }],
    ['norms-biases', {}],
    ['head', {}],
    ['lora', { rank: 4 }],
    ['dora', { rank: 4 }],
  ] as const)('%s tells two digits apart', async (name, options) => {
    const rate = name === 'norms-biases' ? -1 : -2;
    const { score } = await train(name, mlp(), { options, steps: 60, rate });
    expect(score).toBeGreaterThanOrEqual(0.9);
  });

  it('attention alone', async () => {
    const { score } = await train('attention', vit(), { steps: 60 });
    expect(score).toBeGreaterThanOrEqual(0.8);
  });
});

it('a part passes over optimizers that need more than the gradient', () => {
  const lbfgs = { name: 'lbfgs' };
  const adamw = { name: 'adamw' };
  for (const name of ['by-name', 'top-layers', 'norms-biases', 'attention', 'head', 'lora', 'dora']) {
    const part = trainedParts.get(name);
    expect(part.choose?.([lbfgs, adamw])).toEqual([adamw]);
    expect(part.choose?.([lbfgs])).toEqual([]);
  }
});
