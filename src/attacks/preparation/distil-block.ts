import type { Dataset } from '../../data/index.js';
import { add, ancestors, div, flops, gradients, mul, reduceMean, sub, type Tensor } from '../../graph/index.js';
import type { ForwardPass, ModelSpec } from '../../models/index.js';
import { type ArraySpecs, batchInput, feedsOf } from '../../nn/index.js';
import { createOptimizer, createSchedule, type ParameterSet, runSteps, stepFlops } from '../../training/index.js';
import { inputBatches } from './input-batches.js';
import type { BenchRun } from './train-weights.js';

/** Name of what the block gives with the weights that it is fitted to, among the inputs of a batch. */
const GIVEN = 'block_output';

/** A fit of one block of a model to what it gave with other weights. */
export interface BlockFit
  extends Pick<
    BenchRun,
    'on' | 'dataset' | 'optimizer' | 'learningRate' | 'steps' | 'first' | 'batchSize' | 'seed' | 'signal'
  > {
  /** All weights as they are: what comes before the block, and what the block gives. */
  readonly original: ParameterSet;
  /** Those that the fit begins with, changed in place: the block's parameters alone. */
  readonly block: ParameterSet;
}

/**
 * Fits a block to its inputs and outputs: the mean squared difference, as a share of the outputs' mean square, the rate falling along
 * half a cosine.
 *
 * @returns That share over the last quarter of the steps; infinite where it diverged. None where the block gives nothing that the
 *   model names as a hidden layer.
 * @throws InterruptedError after the signal.
 */
export async function distilBlock(fit: BlockFit): Promise<number | undefined> {
  const { on, original, block, steps, first = 0, optimizer, learningRate, signal } = fit;
  const { model, programs } = on;
  const batches = inputBatches(model, fit.dataset, fit);
  const names = [...block.keys()];
  const one = model.build(batches.smallest);
  if (!outputOf(one, names)) return undefined;
  const all = new Map([...original, ...block]);
  const losses: number[] = [];
  let diverged = false;
  await runSteps({
    params: block,
    shapes: new Map(one.scope.state.map(({ name, shape }) => [name, shape])),
    compute: async (_, step) => {
      const { specs, batch } = batches.at(first + step);
      const key = JSON.stringify([model.digest, specs, names]);
      const teacher = await programs.get(`block ${key}`, () => ({ given: requireOutput(model, specs, names).output }));
      const found = await teacher.run(feedsOf(batch, original));
      const student = await programs.get(`block fit ${key}`, () => fitGraph(model, specs, names));
      const results = await student.run({ ...feedsOf(batch, all), [batchInput(GIVEN)]: found.given });
      const ofBlock = names.flatMap((name): [string, Float32Array][] => {
        const gradient = results[`grad ${name}`];
        return gradient instanceof Float32Array ? [[name, gradient]] : [];
      });
      return { loss: Number(results.loss[0]), gradients: new Map(ofBlock) };
    },
    optimizer: createOptimizer(optimizer),
    learningRate,
    schedule: createSchedule({ name: 'cosine' }, batches.stepsPerEpoch),
    steps,
    signal,
    onDiverged: () => {
      diverged = true;
      return 'stop';
    },
    afterStep: ({ loss }) => {
      losses.push(loss);
      return undefined;
    },
  });
  if (diverged) return Number.POSITIVE_INFINITY;
  const last = losses.slice(-Math.max(1, Math.floor(steps / 4)));
  return last.reduce((sum, loss) => sum + loss, 0) / last.length;
}

/**
 * What a step of a fit costs in steps of training the model: what the block gave, and the fit to it. None where the block gives nothing
 * that the model names as a hidden layer.
 */
export function blockFitCost(model: ModelSpec, dataset: Dataset, names: readonly string[]): number | undefined {
  const { smallest } = inputBatches(model, dataset, { batchSize: 1, seed: 1 });
  const given = outputOf(model.build(smallest), names);
  if (!given) return undefined;
  const fit = fitGraph(model, smallest, names);
  return (flops([given]) + flops(Object.values(fit))) / stepFlops(model, dataset, 1).step;
}

/**
 * What a block gives: the first hidden layer, in the order of computation, that depends on all of its parameters that the model's
 * outputs depend on.
 */
function outputOf(pass: ForwardPass, names: readonly string[]): Tensor | undefined {
  const inputs = names.flatMap((name) => pass.scope.parameterInputs.get(name) ?? []);
  const reached = inputsOf(Object.values(pass.outputs));
  const needed = inputs.filter((input) => reached.has(input));
  const isOf = (hidden: Tensor) => {
    const before = inputsOf([hidden]);
    return needed.every((input) => before.has(input));
  };
  return needed.length === 0 ? undefined : pass.scope.hidden.find(isOf);
}

/** All that tensors are computed from. */
function inputsOf(tensors: readonly Tensor[]): Set<Tensor> {
  return new Set(ancestors(tensors).flatMap(({ inputs }) => inputs.flatMap((input) => input ?? [])));
}

function requireOutput(model: ModelSpec, specs: ArraySpecs, names: readonly string[]) {
  const pass = model.build(specs);
  const output = outputOf(pass, names);
  if (output) return { output, pass };
  throw new TypeError(`${names[0]}: expected a block that a hidden layer is made by`);
}

/** Loss, and its gradients by the block's parameters. */
function fitGraph(model: ModelSpec, specs: ArraySpecs, names: readonly string[]): Record<string, Tensor> {
  const { output, pass } = requireOutput(model, specs, names);
  const given = pass.graph.input(batchInput(GIVEN), output.shape, output.dtype);
  const difference = sub(output, given);
  // What a block of dead units gives is 0: it is fitted at once, and not divided by.
  const loss = div(reduceMean(mul(difference, difference)), add(reduceMean(mul(given, given)), 1e-12));
  const inputs = names.flatMap((name) => {
    const input = pass.scope.parameterInputs.get(name);
    return input ? [{ name, input }] : [];
  });
  const slopes = gradients(
    loss,
    inputs.map(({ input }) => input),
  );
  const found = inputs.flatMap(({ name }, index): [string, Tensor][] => {
    const slope = slopes[index];
    return slope ? [[`grad ${name}`, slope]] : [];
  });
  return { loss, ...Object.fromEntries(found) };
}
