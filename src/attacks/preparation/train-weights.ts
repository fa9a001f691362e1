import type { Dataset } from '../../data/index.js';
import { parameterSet, type StateDict } from '../../models/index.js';
import type { Task } from '../../tasks/index.js';
import {
  createObjective,
  createOptimizer,
  createSchedule,
  type LossWeights,
  type OptimizerSpec,
  type ParameterSet,
  type Reference,
  runSteps,
} from '../../training/index.js';
import { someWeights } from '../trained/trainable.js';
import { forwardCost, type Work } from '../trial/work.js';
import type { Runnable } from './bench.js';

/** A run on an attacker's bench. */
export interface BenchRun {
  /** What is trained. */
  readonly on: Omit<Runnable, 'evaluator'>;
  /** All its values, changed in place. */
  readonly params: ParameterSet;
  /** Which of them are trained; default all. */
  readonly only?: (name: string) => boolean;
  /** What it is trained on; default the task of its head. */
  readonly task?: Task;
  readonly dataset: Dataset;
  /** Parts of the loss; default the task's alone. */
  readonly loss?: LossWeights;
  /** What the divergence is from. */
  readonly reference?: Reference;
  /** What a forward pass of the reference costs in steps; default a third. */
  readonly referenceCost?: number;
  readonly optimizer: OptimizerSpec;
  readonly learningRate: number;
  readonly steps: number;
  /** Steps that were taken before, whose batches were others; default none. */
  readonly first?: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/**
 * Trains weights before a trial begins, the rate falling along half a cosine.
 *
 * @returns What it cost, floating-point operations apart, which are counted around the whole of a transform; and whether the run
 * converged: if not, the values are of no use.
 * @throws InterruptedError after the signal.
 */
export async function trainWeights(run: BenchRun): Promise<{ readonly work: Work; readonly converged: boolean }> {
  const { on, params, only, dataset, steps, optimizer, seed, reference, loss, first = 0 } = run;
  const { model, programs } = on;
  const { batchSize, task } = run;
  const objective = await createObjective({ model, task, dataset, batchSize, seed, loss, reference, programs });
  const part = only && someWeights(only)(params, objective.shapes);
  let evaluations = 0;
  let tokens: number | undefined;
  let converged = true;
  let taken = 0;
  // An original that is computed anew is one more forward pass a step.
  const beside = reference && 'weights' in reference ? (run.referenceCost ?? forwardCost) : 0;
  const count = (spent: number, more: number | undefined) => {
    taken++;
    evaluations += spent + beside;
    if (more !== undefined) tokens = (tokens ?? 0) + more;
  };
  await runSteps({
    params: part?.params ?? params,
    shapes: part?.shapes ?? objective.shapes,
    compute: async (_, step, question) => {
      const found = await objective.compute(params, first + step, question);
      return part ? { ...found, gradients: await part.gradients(found.gradients), oracle: undefined } : found;
    },
    optimizer: createOptimizer(optimizer, objective.shapes),
    learningRate: run.learningRate,
    schedule: createSchedule({ name: 'cosine' }, objective.stepsPerEpoch),
    steps,
    signal: run.signal,
    onDiverged: (_, report) => {
      count(report.evaluations, report.tokens);
      converged = false;
      return 'stop';
    },
    afterStep: (report) => {
      count(report.evaluations, report.tokens);
      return undefined;
    },
  });
  const spent = { steps: taken, samples: taken * Math.min(batchSize, dataset.size), flops: 0 };
  return { work: { steps, evaluations, tried: 0, ...(tokens !== undefined && { tokens }), spent }, converged };
}

/** The values of some weights, of their own. */
export function ownValues(weights: StateDict): ParameterSet {
  return new Map(Array.from(parameterSet(weights), ([name, values]) => [name, values.slice()]));
}

/** Weights with other values where there are such, of the same number. */
export function withValues(weights: StateDict, values: ParameterSet): StateDict {
  return new Map(
    Array.from(weights, ([name, { shape, data }]) => {
      const found = values.get(name);
      return [name, { shape, data: found?.length === data.length ? found : data }];
    }),
  );
}
