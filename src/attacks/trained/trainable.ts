import { InputError } from '../../registry/index.js';
import type {
  Objective,
  Optimizer,
  ParameterSet,
  ParameterShapes,
  StepQuestion,
  StepResult,
} from '../../training/index.js';

/** What the optimizer of a trial changes, where that is not simply all weights, and how the model's weights follow. */
export interface Trainable {
  /** The values that the optimizer changes, by name: weights of the model themselves, or others beside them. */
  readonly params: ParameterSet;
  /** Their shapes. */
  readonly shapes: ParameterShapes;
  /** Floating-point operations that it took to make it of the weights; default none. */
  readonly flops?: number;
  /** Their gradients from those of the model's weights. */
  gradients(ofModel: ParameterSet): ParameterSet | Promise<ParameterSet>;
  /** Writes into the model's weights what follows from the trained values; default nothing, where they are weights. */
  write?(): void | Promise<void>;
}

/** Makes the trainable values of one trial, of its seed, from the model's weights, which are the trial's own. */
export type MakeTrainable = (weights: ParameterSet, shapes: ParameterShapes, seed: number) => Trainable;

/** What a run needs to train a part of the weights, or all. */
export interface PartRun {
  readonly params: ParameterSet;
  readonly shapes: ParameterShapes;
  /** Floating-point operations that it took to make them of the weights. */
  readonly flops: number;
  compute(params: ParameterSet, step: number, question?: StepQuestion): Promise<StepResult>;
  /** Brings the model's weights up to date after an update of the trained values. */
  write(): Promise<void>;
}

/**
 * Puts a trained part between optimizer and objective.
 *
 * @param weights - All values of the model, changed by the run.
 * @param options - `make`: default all of them are trained. `seed`: of the trial.
 * @throws InputError for an optimizer that asks for more than gradients, which a part has none of.
 */
export function partRun(
  objective: Objective,
  weights: ParameterSet,
  optimizer: Optimizer,
  { make, seed }: { make?: MakeTrainable; seed: number },
): PartRun {
  const { shapes } = objective;
  if (!make) {
    const compute: PartRun['compute'] = (...asked) => objective.compute(...asked);
    return { params: weights, shapes, flops: 0, compute, write: async () => undefined };
  }
  if (optimizer.needs) {
    throw new InputError(
      `${optimizer.name}: expected an optimizer that needs the gradient alone where not all weights are trained`,
    );
  }
  const part = make(weights, shapes, seed);
  return {
    params: part.params,
    shapes: part.shapes,
    flops: part.flops ?? 0,
    compute: async (_, step) => {
      if (optimizer.prepare) await part.write?.();
      const { loss, gradients, tokens } = await objective.compute(weights, step);
      return { loss, gradients: await part.gradients(gradients), tokens };
    },
    write: async () => part.write?.(),
  };
}

/** The weights of some names as a trainable part: their own arrays, so that the model follows by itself. */
export function someWeights(
  matches: (name: string) => boolean,
): (weights: ParameterSet, shapes: ParameterShapes) => Trainable {
  const some = <T>(all: ReadonlyMap<string, T>) => new Map([...all].filter(([name]) => matches(name)));
  return (weights, shapes) => ({ params: some(weights), shapes: some(shapes), gradients: some });
}
