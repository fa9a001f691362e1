import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDataset, floatDataset, type LabelledDataset, TextExamples } from '../src/data/index.js';
import { RandomStream } from '../src/linalg/index.js';
import { architectures, initializeModel, type Model, parameterSet } from '../src/models/index.js';
import { tasks } from '../src/tasks/index.js';
import { createObjective, stepBytes } from '../src/training/index.js';

/** Texts of 5 to 12 tokens of a vocabulary of 40, of two classes. */
function texts(): LabelledDataset {
  const stream = new RandomStream(3, 'texts');
  const encodings = Array.from({ length: 6 }, (_, text) => {
    const ids = Array.from({ length: 5 + text }, () => 2 + Math.floor(38 * stream.uniform()));
    return { ids, mask: ids.map(() => 1), typeIds: ids.map(() => 0) };
  });
  const labels = Int32Array.from(encodings, (_, text) => text % 2);
  return createDataset(new TextExamples(encodings, { padId: 1 }), { name: 'texts', labels, classes: ['a', 'b'] });
}

function images(): LabelledDataset {
  const inputs = new Float32Array(6 * 3 * 16 * 16);
  new RandomStream(4, 'images').fillNormal(inputs, 0, 1);
  const labels = Int32Array.from({ length: 6 }, (_, image) => image % 2);
  return floatDataset({ name: 'images', shape: [3, 16, 16], inputs, labels, classes: ['a', 'b'] });
}

const bertLike = { hidden_size: 24, num_hidden_layers: 3, num_attention_heads: 2, intermediate_size: 48 };
const llamaLike = { ...bertLike, num_key_value_heads: 1 };
const deberta = {
  ...{ relative_attention: true, pos_att_type: 'p2c|c2p', share_att_key: true, norm_rel_ebd: 'layer_norm' },
  ...{ position_buckets: 8, conv_kernel_size: 3 },
};
const small = { vocab_size: 40, pad_token_id: 1, max_position_embeddings: 40 };
/** Families with their task. */
const families: [string, string, Record<string, unknown>][] = [
  ['bert', 'classification', { ...small, ...bertLike }],
  ['roberta', 'classification', { ...small, ...bertLike }],
  ['distilbert', 'classification', { ...small, dim: 24, n_layers: 3, n_heads: 2, hidden_dim: 48 }],
  ['deberta-v2', 'classification', { ...small, ...bertLike, ...deberta }],
  ['llama', 'causal-lm', { ...small, ...llamaLike }],
  ['gemma3_text', 'causal-lm', { ...small, ...llamaLike, head_dim: 12 }],
  ['gpt2', 'causal-lm', { vocab_size: 40, n_positions: 40, n_embd: 24, n_layer: 3, n_head: 2 }],
  ['vit', 'classification', { ...bertLike, patch_size: 8 }],
  ['resnet20', 'classification', {}],
  ['cnn', 'classification', {}],
];

/** Measured: up to 1.4e-6 of a tensor's own gradients, 2.8e-7 of the largest of all; the others bit for bit. */
const bySkip = ['bert', 'roberta', 'distilbert', 'deberta-v2'];

function newModel(name: string, task: string, keys: Record<string, unknown>, dataset: LabelledDataset): Model {
  const fitted = architectures.get(name).fit(dataset.examples.layout([0]), tasks.get(task).headFor(dataset));
  return initializeModel(name, { ...fitted, ...keys }, 5);
}

async function step(model: Model, task: string, dataset: LabelledDataset, more: { recompute?: boolean }) {
  const objective = await createObjective({
    ...{ model, task: tasks.get(task), dataset, batchSize: 4, seed: 2, engine: { threads: 1 } },
    ...more,
  });
  const { loss, gradients } = await objective.compute(parameterSet(model.weights), 1);
  await objective.release();
  return { loss, gradients: new Map([...gradients].map(([name, values]) => [name, values.slice()])) };
}

describe('blocks that are computed twice', () => {
  it.each(families)('%s: the same loss and gradients', async (name, task, keys) => {
    const dataset = ['vit', 'resnet20', 'cnn'].includes(name) ? images() : texts();
    const model = newModel(name, task, keys, dataset);
    const plain = await step(model, task, dataset, {});
    const again = await step(model, task, dataset, { recompute: true });
    expect([...again.gradients.keys()]).toEqual([...plain.gradients.keys()]);
    const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const scale = Math.max(...[...plain.gradients.values()].map(largest));
    expect(scale).toBeGreaterThan(1e-3);
    const differences = Array.from(plain.gradients, ([weight, gradient]) => {
      const others = again.gradients.get(weight) ?? [];
      return { difference: largest(gradient.map((value, i) => value - others[i])), own: largest(gradient) };
    });
    // Of what is zero but for rounding, such as the biases of keys, the rounding is that of its parts.
    const errors = differences.map(({ difference, own }) => difference / Math.max(own, 1e-3 * scale));
    const error = Math.max(Math.abs(again.loss - plain.loss), ...errors);
    // Blocks that end with a layer norm: nothing but gradients reads the sum before it any more, so ONNX Runtime makes one operator of both.
    if (!bySkip.includes(name)) return expect(error).toBe(0);
    expect(error).toBeLessThan(2e-6);
    expect(Math.max(...differences.map(({ difference }) => difference)) / scale).toBeLessThan(4e-7);
  });

  it('ONNX Runtime does compute them twice, each block when its gradients are due', async () => {
    const dataset = texts();
    const model = newModel('bert', 'classification', { ...small, ...bertLike }, dataset);
    const folder = mkdtempSync(join(tmpdir(), 'weightlock-recompute-'));
    const ran = async (recompute: boolean) => {
      const engine = { threads: 1, profilePrefix: join(folder, String(recompute)) };
      const objective = await createObjective({ model, dataset, batchSize: 4, seed: 2, engine, recompute });
      await objective.compute(parameterSet(model.weights), 1);
      await objective.release();
      const file = readdirSync(folder).find((each) => each.startsWith(String(recompute))) ?? '';
      const events: { name: string; cat: string; ts: number; args: { op_name?: string } }[] = JSON.parse(
        readFileSync(join(folder, file), 'utf8'),
      );
      const kernels = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
      return kernels.sort((a, b) => a.ts - b.ts).map(({ args }) => args.op_name);
    };
    const [plain, again] = [await ran(false), await ran(true)];
    rmSync(folder, { recursive: true });
    const softmaxes = (ops: readonly (string | undefined)[]) => ops.filter((op) => op === 'Softmax').length;
    // One a block.
    expect(softmaxes(plain)).toBe(3);
    // All but the first block, before which nothing is kept that it could begin with.
    expect(softmaxes(again)).toBe(5);
    const places = again.flatMap((op, at) => (op === 'Softmax' ? [at] : []));
    const between = (first: number) => places[first + 1] - places[first];
    // From one forward block to the next there are its nodes; from one that is computed again to the next its gradients as well.
    expect(between(3)).toBeGreaterThan(2 * between(0));
  });

  it('hold less at once, as the estimate says', () => {
    const dataset = texts();
    const keys = { ...small, ...bertLike, num_hidden_layers: 8, max_position_embeddings: 256 };
    const model = newModel('bert', 'classification', keys, dataset);
    const array = { shape: [256], dtype: 'int64' } as const;
    const layout = { input_ids: array, attention_mask: array, token_type_ids: array };
    const [plain, again] = [false, true].map((recompute) => stepBytes(model, 8, { layout, recompute }));
    expect(again).toBeLessThan(plain / 2);
    // Beside the weights and what lies between blocks, one block of eight with its gradients.
    expect(again).toBeGreaterThan(plain / 8);
  });

  it('are refused for a model that does not have several', async () => {
    const dataset = images();
    const model = newModel('mlp', 'classification', { hidden_sizes: [5] }, dataset);
    await expect(createObjective({ model, dataset, batchSize: 4, seed: 1, recompute: true })).rejects.toThrow(
      'recompute: expected a model of several layers or blocks, found 1 of mlp',
    );
  });
});
