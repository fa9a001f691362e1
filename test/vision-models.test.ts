import { describe, expect, it } from 'vitest';
import { floatDataset } from '../src/data/index.js';
import { compile } from '../src/engine/index.js';
import { buildForward, parameterSet, readConfig } from '../src/models/index.js';
import { createObjective, Evaluator } from '../src/training/index.js';
import { largestDifference } from './support/compare.js';
import { cases, hashedWeights, inputsOf, worstOfDigests } from './support/vision-fixtures.js';

const tolerance = 1e-4;
const engine = { threads: 1 };

describe('vision models against torchvision, transformers and a literal CIFAR ResNet', () => {
  const table = cases.map((one) => ({
    ...one,
    name: `${one.config.architecture ?? one.config.model_type} ${one.config.stem ?? ''} [${one.input}]`,
  }));
  it.each(table)('$name: logits, loss, every gradient, running statistics', async (one) => {
    const spec = readConfig(one.config, 'fixture');
    const weights = hashedWeights(spec);
    const params = parameterSet(weights);
    const inputs = inputsOf(one);
    const classes = spec.architecture.classes(spec.config);
    const size = one.input[0];
    const dataset = floatDataset({
      name: 'hashed',
      inputShape: one.input.slice(1),
      inputs,
      labels: Int32Array.from({ length: size }, (_, index) => index % 3),
      classes: Array.from({ length: classes }, (_, label) => `${label}`),
    });
    const evaluator = new Evaluator(spec, engine, size);
    const evaluation = largestDifference(await evaluator.logits(params, dataset), one.evaluation);
    await evaluator.release();
    expect(evaluation.error, `evaluation logits, index ${evaluation.index}`).toBeLessThan(tolerance);

    const program = await compile({ logits: buildForward(spec, size, true).logits }, engine);
    const { logits } = await program.run({ x: inputs, ...Object.fromEntries(params) });
    const training = largestDifference(logits as Float32Array, one.training);
    await program.release();
    expect(training.error, `training logits, index ${training.index}`).toBeLessThan(tolerance);

    // The fixture's batch is all there is, in an order that the mean over the batch does not see.
    const objective = await createObjective({ model: spec, dataset, batchSize: size, seed: 0, engine });
    const { loss, gradients } = await objective.compute(params, 0);
    expect(Math.abs(loss - one.loss) / one.loss, 'loss').toBeLessThan(tolerance);
    expect([...gradients.keys()].sort()).toEqual(Object.keys(one.gradients).sort());
    const gradient = worstOfDigests(gradients, one.gradients);
    expect(gradient.error, `gradient of ${gradient.where}`).toBeLessThan(tolerance);
    const buffer = worstOfDigests(params, one.buffers);
    expect(buffer.error, `after one step, ${buffer.where}`).toBeLessThan(tolerance);
    await objective.release();
  });
});
