import { z } from 'zod';
import type { Dataset } from '../../data/index.js';
import type { EngineOptions } from '../../engine/index.js';
import type { RunFolder } from '../../evidence/index.js';
import type { OnPass } from '../../locks/index.js';
import { type Model, parameterSet } from '../../models/index.js';
import type { Evaluation } from '../../tasks/index.js';
import {
  chosenOptimizer,
  courseOptions,
  courseSchedule,
  courseSteps,
  createObjective,
  createOptimizer,
  DivergedError,
  Evaluator,
  optimizerOptions,
  runSteps,
  WeightsKeeper,
  withOptimizers,
} from '../../training/index.js';

const ownOptions = z.strictObject({
  ...courseOptions({ steps: 1500, schedule: 'cosine' }),
  batchSize: z.int().min(1).default(64).describe('examples a step'),
  ...optimizerOptions({ optimizer: 'adamw' }),
  learningRate: z.number().positive().default(2e-3).describe('largest learning rate'),
  evaluateEvery: z.int().min(1).default(250).describe('steps between two evaluations'),
  patience: z
    .int()
    .min(0)
    .default(0)
    .describe('evaluations without improvement before training stops with the best weights; 0: never'),
});

/** Options of training. */
export const trainOptions = withOptimizers(ownOptions);

/** Parsed {@link trainOptions}. */
export type TrainOptions = z.output<typeof trainOptions>;

/** What every job reports to and is stopped by. */
export interface JobContext {
  /** Where checkpoints and metrics go. */
  readonly folder: RunFolder;
  /** Name of the phase in metrics and checkpoint files. */
  readonly phase: string;
  /** Added to the step in metrics, where several jobs share a folder. */
  readonly stepOffset?: number;
  /** Threads and device. */
  readonly engine?: EngineOptions;
  /** Steps between two checkpoints; default 200. */
  readonly checkpointEvery?: number;
  /** Ends the job after the current step. */
  readonly signal?: AbortSignal;
  /** Hears of every step; `tokens`: of its batch, of texts. */
  readonly onStep?: (step: number, text: string, tokens?: number) => void;
  /** Hears of passes over examples beside the steps. */
  readonly onPass?: OnPass;
}

/** How training ended. */
export interface TrainResult {
  /** Step that the weights are of. */
  readonly steps: number;
  /** Their evaluation on the validation examples. */
  readonly evaluation: Evaluation;
}

/** The parts of a run's options that tie it to its folder: checkpoints, and metrics that fit them after a restart. */
export function folderHooks({ folder, phase, stepOffset = 0, checkpointEvery = 200 }: JobContext) {
  return {
    checkpoint: { path: folder.checkpointPath(`${phase}.safetensors`), every: checkpointEvery },
    hooks: {
      // A finished earlier phase keeps its metrics; those of this phase beyond the checkpoint are measured again.
      onStart: (step: number) => folder.truncateMetrics(stepOffset + step),
      beforeCheckpoint: () => folder.flushMetrics(),
    },
  };
}

/** Steps of a training at most, for progress. */
export function trainSteps(options: TrainOptions, train: Dataset): number {
  return courseSteps(options, train.size, options.batchSize);
}

/** Trains a model's weights in place, with checkpoints, metrics, early stop and resume. */
export async function trainJob(
  { model, train, validation, seed }: { model: Model; train: Dataset; validation: Dataset; seed: number },
  options: TrainOptions,
  context: JobContext,
): Promise<TrainResult> {
  const { folder, phase, stepOffset = 0, engine, signal, onStep } = context;
  const params = parameterSet(model.weights);
  const evaluator = new Evaluator(model, engine);
  const { roles } = evaluator.task;
  const scoreOf = ({ metrics }: Evaluation) => metrics[roles.score] ?? Number.NaN;
  const { batchSize, accumulate, recompute } = options;
  const shapes = new Map([...model.weights].map(([name, { shape }]) => [name, shape]));
  const optimizer = createOptimizer(chosenOptimizer(options), shapes);
  const byRows = optimizer.idleFactor && (() => true);
  const objective = await createObjective({
    ...{ model, dataset: train, batchSize, accumulate, recompute },
    ...{ seed, engine, byRows },
  });
  const keeper = new WeightsKeeper(params, await evaluator.evaluate(params, validation));
  const steps = trainSteps(options, train);
  let sinceBest = 0;
  const { checkpoint, hooks } = folderHooks(context);
  try {
    await runSteps({
      params,
      shapes: objective.shapes,
      compute: (...asked) => objective.compute(...asked),
      rows: objective.rows,
      optimizer,
      schedule: courseSchedule(options, objective.stepsPerEpoch),
      learningRate: options.learningRate,
      steps,
      checkpoint,
      ...hooks,
      signal,
      state: {
        save: () => {
          const { extra, meta } = keeper.save();
          return { extra, meta: { ...meta, sinceBest } };
        },
        restore: (extra, meta) => {
          keeper.restore(extra, meta);
          sinceBest = Number(meta.sinceBest);
        },
      },
      afterStep: async ({ step, loss, learningRate, tokens, settled }) => {
        const due = step % options.evaluateEvery === 0 || step === steps;
        if (due) await settled();
        const evaluation = due ? await evaluator.evaluate(params, validation) : undefined;
        if (evaluation && !Number.isFinite(evaluation.metrics[roles.loss])) {
          throw new DivergedError({
            step,
            steps,
            loss,
            learningRate,
            what: `the validation loss is ${evaluation.metrics[roles.loss]}`,
          });
        }
        folder.appendMetric({
          step: stepOffset + step,
          phase,
          loss,
          learningRate,
          ...(evaluation && { validation: evaluation }),
        });
        onStep?.(step, `loss ${loss.toFixed(3)}`, tokens);
        if (!evaluation) return undefined;
        const improved = scoreOf(evaluation) > scoreOf(keeper.evaluation);
        sinceBest = improved ? 0 : sinceBest + 1;
        // Without early stop the last weights are the result, whatever their score.
        if (improved || options.patience === 0) keeper.keep(step, evaluation);
        return options.patience > 0 && sinceBest >= options.patience ? 'stop' : undefined;
      },
    });
  } finally {
    await Promise.all([objective.release(), evaluator.release()]);
  }
  keeper.goBack();
  return { steps: keeper.step, evaluation: keeper.evaluation };
}
