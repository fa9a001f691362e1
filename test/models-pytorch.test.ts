import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Dataset, floatDataset } from '../src/data/index.js';
import { ProgramCache } from '../src/engine/index.js';
import { readSafetensors, toFloat32 } from '../src/formats/index.js';
import { loadModel, type Model, parameterSet, saveModel } from '../src/models/index.js';
import { adamw, createObjective, Evaluator, type Objective } from '../src/training/index.js';
import { outOfTolerance } from './support/compare.js';

const tolerance = 1e-5;
const folderOf = (name: string) => fileURLToPath(new URL(`./fixtures/models/${name}`, import.meta.url));

async function readExpected(name: string) {
  const { tensors, metadata } = await readSafetensors(join(folderOf(name), 'expected.safetensors'));
  return { values: new Map(tensors.map((tensor) => [tensor.name, tensor])), loss: Number(metadata.loss) };
}

/** The fixture's batch, as a data set whose single batch it is. */
function batchOf(model: Model, expected: Awaited<ReturnType<typeof readExpected>>['values'], index: number): Dataset {
  const [x, y] = [`x ${index}`, `y ${index}`].map((name) => expected.get(name));
  if (!x || !y) throw new Error(`the fixture has no batch ${index}`);
  return floatDataset({
    name: `batch ${index}`,
    shape: x.shape.slice(1),
    inputs: toFloat32(x),
    labels: Int32Array.from(toFloat32(y)),
    classes: Array.from({ length: model.head.size }, (_, label) => String(label)),
  });
}

describe.each(['cnn', 'mlp'])('%s', (name) => {
  it("loads PyTorch's model directory; logits, loss and every gradient are PyTorch's", async () => {
    const model = await loadModel(folderOf(name));
    const { values, loss } = await readExpected(name);
    const params = parameterSet(model.weights);
    const batch = batchOf(model, values, 0);
    const evaluator = new Evaluator(model, { threads: 1 });
    const problems = outOfTolerance(
      'logits',
      await evaluator.outputs(params, batch),
      toFloat32(values.get('logits') ?? { name: 'logits', dtype: 'F32', shape: [0], bytes: new Uint8Array() }),
      tolerance,
    );
    const objective = await createObjective({
      model,
      dataset: batch,
      batchSize: batch.size,
      seed: 0,
      engine: { threads: 1 },
    });
    const step = await objective.compute(params, 0);
    expect(Math.abs(step.loss - loss) / loss).toBeLessThan(tolerance);
    const names = [...values.keys()].filter((key) => key.startsWith('gradient '));
    expect(names.map((key) => key.slice('gradient '.length)).sort()).toEqual([...step.gradients.keys()].sort());
    for (const key of names) {
      const [tensor, gradient] = [values.get(key), step.gradients.get(key.slice('gradient '.length))];
      if (tensor && gradient) problems.push(...outOfTolerance(key, gradient, toFloat32(tensor), tolerance));
    }
    expect(problems).toEqual([]);
    await objective.release();
    await evaluator.release();
  });

  it("ten steps of AdamW end with PyTorch's weights and losses", async () => {
    const model = await loadModel(folderOf(name));
    const { values } = await readExpected(name);
    const params = parameterSet(model.weights);
    const programs = new ProgramCache({ threads: 1 });
    const objectives: Objective[] = [];
    for (let index = 0; index < 3; index++) {
      const dataset = batchOf(model, values, index);
      objectives.push(await createObjective({ model, dataset, batchSize: dataset.size, seed: 0, programs }));
    }
    const optimizer = adamw();
    const state = optimizer.init(params);
    const losses: number[] = [];
    for (let step = 0; step < 10; step++) {
      const { loss, gradients } = await objectives[step % 3].compute(params, step);
      losses.push(loss);
      await optimizer.update(gradients, state, params, 1e-3);
    }
    const expectedLosses = values.get('losses');
    const problems = expectedLosses
      ? outOfTolerance('losses', losses, toFloat32(expectedLosses), tolerance)
      : ['no losses'];
    for (const [key, data] of params) {
      const after = values.get(`after 10 steps ${key}`);
      problems.push(...(after ? outOfTolerance(key, data, toFloat32(after), tolerance) : [`no ${key}`]));
    }
    expect(problems).toEqual([]);
    await programs.release();
  });

  it('is written back byte for byte', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weightlock-model-'));
    await saveModel(join(folder, 'copy'), await loadModel(folderOf(name)));
    for (const file of ['model.safetensors', 'config.json']) {
      expect(await readFile(join(folder, 'copy', file))).toEqual(await readFile(join(folderOf(name), file)));
    }
    await rm(folder, { recursive: true });
  });
});
