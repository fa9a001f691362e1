import { expect } from 'vitest';
import { floatDataset } from '../../src/data/index.js';
import { compile } from '../../src/engine/index.js';
import { modelState, parameterSet, readConfig, smallestBatch } from '../../src/models/index.js';
import { feedsOf } from '../../src/nn/index.js';
import { createObjective, Evaluator } from '../../src/training/index.js';
import { largestDifference } from './compare.js';
import { hashedWeights, inputsOf, type VisionCase, worstOfDigests } from './vision-fixtures.js';

/**
 * Largest errors measured, each relative to its own element or the tensor's root mean square: logits 3.6e-6, loss 7e-7,
 * running statistics 2.3e-6, gradients 5.9e-5 (34 layers deep; PyTorch's own float32 is 3e-5 of the norm away from its float64).
 */
const tolerances = { logits: 1e-5, loss: 2e-6, buffers: 1e-5, gradients: 1e-4 };
/** Only the gradients of attention's key biases, which are zero but for rounding, lie below: 1e-9, where all others lie above 5e-4. */
const zero = 1e-4;
const engine = { threads: 1 };

/** Checks logits, loss, every gradient and running statistics of one case against its original framework. */
export async function checkVisionCase(one: VisionCase): Promise<void> {
  const spec = readConfig(one.config, 'fixture');
  const weights = hashedWeights(spec);
  const params = parameterSet(weights);
  const inputs = inputsOf(one);
  const classes = spec.head.size;
  const size = one.input[0];
  const dataset = floatDataset({
    name: 'hashed',
    shape: one.input.slice(1),
    inputs,
    labels: Int32Array.from({ length: size }, (_, index) => index % 3),
    classes: Array.from({ length: classes }, (_, label) => `${label}`),
  });
  const evaluator = new Evaluator(spec, engine, { batchSize: size });
  const evaluation = largestDifference(await evaluator.outputs(params, dataset), one.evaluation);
  await evaluator.release();
  expect(evaluation.error, `evaluation logits, index ${evaluation.index}`).toBeLessThan(tolerances.logits);

  const { outputs } = spec.build(smallestBatch(spec, size), { training: true });
  const program = await compile({ logits: outputs.logits }, engine);
  const { logits } = await program.run(feedsOf({ x: inputs }, params));
  const training = largestDifference(logits as Float32Array, one.training);
  await program.release();
  expect(training.error, `training logits, index ${training.index}`).toBeLessThan(tolerances.logits);

  // The fixture's batch is all there is, in an order that the mean over the batch does not see.
  const objective = await createObjective({ model: spec, dataset, batchSize: size, seed: 0, engine });
  const { loss, gradients } = await objective.compute(params, 0);
  expect(Math.abs(loss - one.loss) / one.loss, 'loss').toBeLessThan(tolerances.loss);
  expect([...gradients.keys()].sort()).toEqual(Object.keys(one.gradients).sort());
  const gradient = worstOfDigests(gradients, one.gradients, zero);
  expect(gradient.error, `gradient of ${gradient.where}`).toBeLessThan(tolerances.gradients);
  const buffers = modelState(spec).filter(({ kind }) => kind !== 'parameter');
  expect(Object.keys(one.buffers).sort()).toEqual(buffers.map(({ name }) => name).sort());
  const buffer = worstOfDigests(params, one.buffers, zero);
  expect(buffer.error, `after one step, ${buffer.where}`).toBeLessThan(tolerances.buffers);
  await objective.release();
}
