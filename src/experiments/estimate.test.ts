import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Dataset, floatDataset } from '../data/index.js';
import { readSafetensors } from '../formats/index.js';
import { initializeModel, parameterSet } from '../models/index.js';
import { createObjective, optimizers, runSteps, stepBytes } from '../training/index.js';
import { describeEstimate, estimateRun } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weightlock-estimate-'));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

const model = initializeModel('resnet20', { num_channels: 1, image_size: 8, num_labels: 2 }, 1);
const weightBytes = [...model.weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
const estimate = (name: string, options?: Record<string, unknown>, clipNorm?: number) =>
  estimateRun({ model, batchSize: 2, optimizer: { name, options, clipNorm }, folder: root });

describe('estimateRun', () => {
  it.each(optimizers.names())('counts the state that %s has in a checkpoint', async (name) => {
    const dataset = floatDataset({
      name: 'noise',
      shape: [1, 8, 8],
      inputs: new Float32Array(2 * 64).map((_, i) => Math.sin(i)),
      labels: Int32Array.of(0, 1),
      classes: ['a', 'b'],
    });
    const objective = await createObjective({ model, dataset, batchSize: 2, seed: 1, engine: { threads: 1 } });
    const path = join(root, `${name}.safetensors`);
    await runSteps({
      params: parameterSet(model.weights),
      shapes: objective.shapes,
      compute: (params, step) => objective.compute(params, step),
      optimizer: optimizers.get(name).create(),
      learningRate: 1e-6,
      steps: 1,
      checkpoint: { path, every: 1 },
    });
    await objective.release();
    const stored = (await readSafetensors(path)).tensors.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const { diskBytes, memoryBytes } = await estimate(name);
    // A kept copy beside it, two such files for a moment, and the model.
    expect(diskBytes).toBe(2 * (stored + weightBytes) + weightBytes);
    expect(memoryBytes).toBeGreaterThan(stored + weightBytes);
  });

  it('knows that L-BFGS keeps a hundred pairs', async () => {
    const [few, many] = [await estimate('sgd'), await estimate('lbfgs')];
    expect(many.memoryBytes - few.memoryBytes).toBeGreaterThan(200 * weightBytes);
    const fewer = await estimate('lbfgs', { historySize: 10 });
    const pairs = [...model.weights.values()].reduce((sum, { data }) => sum + 2 * data.byteLength + 4, 0);
    // Twice: the checkpoint and its successor.
    expect(many.diskBytes - fewer.diskBytes).toBe(2 * 90 * pairs);
  });

  it('knows the options of an optimizer', async () => {
    const plain = await estimate('sgd');
    const momentum = await estimate('sgd', { momentum: 0.9 });
    const counts = 4 * model.weights.size;
    expect(momentum.memoryBytes - plain.memoryBytes).toBe(weightBytes + counts);
    const bounded = await estimate('adam', { amsgrad: true });
    expect(bounded.diskBytes - (await estimate('adam')).diskBytes).toBe(2 * weightBytes);
    expect((await estimate('sgd', {}, 1)).memoryBytes - plain.memoryBytes).toBe(weightBytes);
    // Whitening asks for no products with second derivatives, which are programs of their own.
    const newton = await estimate('psgd-xmat');
    const whitening = await estimate('psgd-xmat', { criterion: 'whitening' });
    expect(newton.diskBytes).toBe(whitening.diskBytes);
    expect(newton.memoryBytes).toBeGreaterThan(whitening.memoryBytes);
  });

  const noise = (size: number) =>
    floatDataset({
      name: 'noise',
      shape: [1, 8, 8],
      inputs: new Float32Array(size * 64),
      labels: new Int32Array(size),
      classes: ['a', 'b'],
    });
  const plan = { model, batchSize: 4, optimizer: { name: 'sgd' } };

  it('counts what judges the model, on as many examples as are computed at once, and what lies beside a step', async () => {
    const few = await estimateRun({ ...plan, examples: noise(8), folder: root });
    const many = await estimateRun({ ...plan, examples: noise(256), folder: root });
    const more = await estimateRun({ ...plan, examples: noise(1000), folder: root });
    expect(many.memoryBytes).toBeGreaterThan(few.memoryBytes);
    expect(more).toEqual(many);
    const step = stepBytes(model, 4);
    const beside = await estimateRun({ ...plan, examples: noise(8), morePrograms: 1.5, folder: root });
    expect(beside.memoryBytes - few.memoryBytes).toBeCloseTo(1.5 * step + 3 * weightBytes);
    const read = await estimateRun({ ...plan, examples: noise(8), residentBytes: 1e9, folder: root });
    expect(read.memoryBytes - few.memoryBytes).toBeCloseTo(1e9 - 340e6);
  });

  it('tells programs of other lengths of texts from those that it needs', async () => {
    const texts = (...lengths: readonly number[]) => {
      const examples = floatDataset({
        name: 'texts',
        shape: [1],
        inputs: new Float32Array(lengths.length),
        labels: new Int32Array(lengths.length),
        classes: ['a', 'b'],
      });
      const layout = (indices: ArrayLike<number>) => {
        const longest = Math.max(...Array.from(indices, (index) => lengths[index]));
        const array = { shape: [longest], dtype: 'int64' } as const;
        return { input_ids: array, attention_mask: array, token_type_ids: array };
      };
      return { ...examples, examples: { ...examples.examples, lengths: Uint32Array.from(lengths), layout } } as Dataset;
    };
    const bert = initializeModel(
      'bert',
      {
        ...{ vocab_size: 20, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16 },
        ...{ max_position_embeddings: 64, num_labels: 2, architectures: ['BertForSequenceClassification'] },
      },
      1,
    );
    const of = (...lengths: readonly number[]) =>
      estimateRun({ ...plan, model: bert, examples: texts(...lengths), folder: root });
    const [one, both] = [await of(32, 32), await of(16, 32)];
    expect(both.memoryBytes).toBe(one.memoryBytes);
    expect(one.keptBytes).toBe(0);
    const array = { shape: [16], dtype: 'int64' } as const;
    const layout = { input_ids: array, attention_mask: array, token_type_ids: array };
    expect(both.keptBytes).toBe(stepBytes(bert, 2, { layout }));
    expect(describeEstimate(one)).not.toContain('more');
    expect(describeEstimate(both)).toContain('; programs kept for texts of other lengths take up to 1 MB more');
  });
});
