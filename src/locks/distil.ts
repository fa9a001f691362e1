import { stat } from 'node:fs/promises';
import { z } from 'zod';
import { alteredTexts, type Dataset } from '../data/index.js';
import { parameterSet } from '../models/index.js';
import { InputError } from '../registry/index.js';
import type { Task } from '../tasks/index.js';
import {
  type Course,
  chosenOptimizer,
  courseOptions,
  courseSchedule,
  courseSteps,
  createObjective,
  createOptimizer,
  type Moving,
  type OtherDefaults,
  optimizerOptions,
  optimizers,
  type ParameterSet,
  type Reference,
  runSteps,
} from '../training/index.js';
import { type AlterOptions, alterOption } from './alter.js';
import { type BudgetOptions, budgetOptions, utilityFloor } from './budget.js';
import type { LockContext, LockResult, LockStory, LockTraining, UtilityMeter } from './lock-method.js';
import { type RetainOptions, retainOptionOf, retainReference } from './retain.js';
import type { UtilityGuard } from './utility-guard.js';

/** What is added to the gradient is no part of the graph, so an optimizer that asks for more than the gradient is refused. */
const gradientOptimizers = optimizers.entries().filter((entry) => entry.create().needs === undefined);

/**
 * Options of a distillation of the original into weights that have lost it, for a schema that goes through `withOptimizers`.
 *
 * @param defaults - `settle`: checks within the budget after which it ends; 0: all steps are done. `retain`: weights of the retain
 *   loss, by default of the KL divergence alone. `optimizers`, `schedules`: options of these that are not their own defaults.
 */
export function distilOptions({
  settle,
  learningRate,
  optimizer = 'adamw',
  batchSize = 64,
  retain = { task: 0, kl: 1 },
  optimizers: defaults,
  ...course
}: {
  steps: number;
  schedule: string;
  learningRate: number;
  settle: number;
  optimizer?: string;
  batchSize?: number;
  retain?: { task: number; kl: number };
  optimizers?: OtherDefaults;
  schedules?: OtherDefaults;
}) {
  return {
    ...courseOptions(course),
    learningRate: z.number().positive().default(learningRate).describe('learning rate'),
    ...optimizerOptions({
      optimizer,
      among: gradientOptimizers,
      description: 'optimizer of the distillation, one that needs the gradient alone',
      defaults,
    }),
    batchSize: z.int().min(1).default(batchSize).describe('examples a step'),
    retain: retainOptionOf(retain),
    alter: alterOption,
    ...budgetOptions({ evaluateEvery: 20 }),
    settle: z
      .int()
      .min(0)
      .default(settle)
      .describe('checks in a row within the utility budget after which it ends; 0: all steps are done'),
  };
}

/** What {@link distilOptions} give. */
export interface DistilOptions extends Course, BudgetOptions, Moving {
  readonly learningRate: number;
  readonly optimizer: string;
  readonly batchSize: number;
  readonly accumulate: number;
  readonly recompute: boolean;
  readonly retain: RetainOptions;
  readonly alter: AlterOptions;
  readonly settle: number;
}

/** Adds to the gradient of a step, in place; gives what it measured. */
export type Pull = (
  params: ParameterSet,
  gradients: ParameterSet,
  step: number,
) => Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>;

/** What a lock by distillation does with the weights. */
export interface Distillation {
  /**
   * Makes what its steps need beside the weights, while these are the original's; default nothing.
   *
   * @param examples - What the distillation sees, as below.
   */
  begin?(examples: Dataset): Promise<void>;
  /**
   * Takes from the weights, in place, what other tasks need; asked for nothing where a checkpoint says what became of them.
   *
   * @param examples - What the distillation sees: the training examples, with altered copies where these are asked for.
   */
  remove(examples: Dataset): Promise<LockStory>;
  /** Names of weights whose whole gradient it asks for; default none. */
  readonly whole?: (name: string) => boolean;
  /** Added to the gradient of each step; default nothing. */
  readonly pull?: Pull;
}

/**
 * What a lock method by distillation says of its training.
 *
 * @param morePrograms - Programs that it holds beside that of a step.
 */
export function distilTraining(options: DistilOptions, morePrograms = 0): LockTraining {
  const { batchSize, accumulate, recompute } = options;
  return { batchSize, accumulate, recompute, morePrograms, optimizer: chosenOptimizer(options) };
}

/** Steps of a distillation at most, for progress: one where nothing is trained. */
export function distilSteps(options: DistilOptions, trainExamples: number): number {
  return Math.max(1, courseSteps(options, trainExamples, options.batchSize));
}

/**
 * What is left of a distillation without the lock: all its steps, since it begins within the budget, where whatever ends one early
 * would end it at once.
 *
 * @param without - What turns off what the lock does beside.
 */
export function distilSham<Options extends DistilOptions>(options: Options, without: Partial<Options>): Options {
  return { ...options, ...without, settle: 0 };
}

/**
 * Removes, and then brings the authorized behaviour back by training on what the original said of the authorized examples, until
 * the utility is within the budget. It ends with the last weights that were within; where none were, with those before the lock.
 */
export async function distil(
  context: LockContext,
  options: DistilOptions,
  distillation: Distillation,
): Promise<LockResult> {
  const train = await context.train();
  const dataset = withAltered(train, context.seed, options);
  // Before anything is removed.
  const reference = await retainReference(context, options.retain, dataset);
  await distillation.begin?.(dataset);
  const meter = await context.utility();
  const { before, begin, task } = meter;
  const steps = courseSteps(options, train.size, options.batchSize);
  const budget = {
    floor: utilityFloor(options, meter),
    maxKl: options.maxKl,
    // It begins outside: more checks than there are.
    patience: Math.ceil(steps / options.evaluateEvery) + 1,
  };
  const guard = context.guard(budget, begin);
  const { checkpoint } = context;
  const isBegun = checkpoint !== undefined && (await stat(checkpoint.path).catch(() => undefined)) !== undefined;
  const course = { options, steps, meter, guard, story: isBegun ? {} : await distillation.remove(dataset) };
  const { stepsTried, story } =
    steps === 0
      ? await withoutSteps(context, course)
      : await descend(context, { ...course, ...{ dataset, reference, task } }, distillation);
  guard.lastGood.goBack();
  return {
    steps: guard.lastGood.step,
    stepsTried,
    stoppedByBudget: guard.endedOutside,
    budget,
    before,
    after: guard.lastGood.evaluation,
    ...(guard.nearest && { nearest: guard.nearest }),
    story,
  };
}

/** The examples that a distillation sees: with altered copies, where these are asked for. */
function withAltered(train: Dataset, seed: number, { alter, retain }: DistilOptions): Dataset {
  if (alter.copies === 0) return train;
  if (retain.task > 0) {
    throw new InputError(
      `alter.copies: expected a weight retain.task of 0 beside it, as altered texts have no answers of their own, got ${retain.task}`,
    );
  }
  return alteredTexts(train, alter, seed);
}

/** What a distillation is run with. */
interface DistilRun {
  readonly options: DistilOptions;
  readonly steps: number;
  readonly meter: UtilityMeter;
  readonly guard: UtilityGuard;
  readonly story: LockStory;
}

/** What was removed, as it is. */
async function withoutSteps({ hooks, onStep }: LockContext, { meter, guard, story }: DistilRun) {
  const utility = await meter.measure();
  await hooks?.onStart?.(0);
  guard.check(1, utility);
  onStep?.({ step: 1, utility });
  return { stepsTried: 1, story };
}

async function descend(
  { model, weights, seed, engine, checkpoint, hooks, signal, onStep }: LockContext,
  run: DistilRun & { readonly dataset: Dataset; readonly reference?: Reference; readonly task: Task },
  { whole, pull }: Distillation,
): Promise<{ stepsTried: number; story: LockStory }> {
  const { options, steps, meter, guard, dataset, reference, task } = run;
  const { batchSize, accumulate, recompute, retain, settle } = options;
  let { story } = run;
  let within = 0;
  const shapes = new Map([...weights].map(([name, { shape }]) => [name, shape]));
  const optimizer = createOptimizer(chosenOptimizer(options), shapes);
  const objective = await createObjective({
    ...{ model, task, dataset, batchSize, accumulate, recompute, seed, engine, reference },
    loss: { task: retain.task, divergence: retain.kl },
    byRows: optimizer.idleFactor && ((name) => !whole?.(name)),
  });
  let measured: Readonly<Record<string, number>> = {};
  try {
    const done = await runSteps({
      params: parameterSet(weights),
      shapes: objective.shapes,
      compute: async (params, step, question) => {
        const found = await objective.compute(params, step, question);
        measured = (await pull?.(params, found.gradients, step)) ?? {};
        return found;
      },
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
          const { extra, meta } = guard.save();
          return { extra, meta: { ...meta, within, story } };
        },
        restore: (extra, meta) => {
          guard.restore(extra, meta);
          within = Number(meta.within);
          story = meta.story as LockStory;
        },
      },
      // With good weights to go back to, a lock that diverges ends there; without, it has done nothing.
      onDiverged: () => {
        if (!guard.hasGood) return undefined;
        guard.diverged();
        return 'stop';
      },
      afterStep: async ({ step, loss, tokens, settled }) => {
        const due = step % options.evaluateEvery === 0 || step === steps;
        if (due) await settled();
        const utility = due ? await meter.measure() : undefined;
        onStep?.({
          ...{ step, loss, ...measured },
          ...(tokens !== undefined && { tokens }),
          ...(utility && { utility }),
        });
        if (!utility) return undefined;
        const verdict = guard.check(step, utility);
        within = guard.endedOutside ? 0 : within + 1;
        return settle > 0 && within >= settle ? 'stop' : verdict;
      },
    });
    return { stepsTried: done.steps, story };
  } finally {
    await objective.release();
  }
}
