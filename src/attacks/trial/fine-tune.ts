import type { Dataset } from '../../data/index.js';
import type { ProgramCache } from '../../engine/index.js';
import { cloneWeights, type ModelSpec, parameterSet, type StateDict } from '../../models/index.js';
import { WeightlockError } from '../../registry/index.js';
import type { Evaluation } from '../../tasks/index.js';
import {
  createObjective,
  createOptimizer,
  createSchedule,
  type Evaluator,
  type OptimizerSpec,
  optimizers,
  runSteps,
  type ScheduleSpec,
} from '../../training/index.js';
import type { SearchPoint } from '../search/space.js';
import { type MakeTrainable, partRun } from '../trained/trainable.js';
import { type Spent, sumOfSpent } from './spent.js';
import type { JudgeUtility, TrialUtility } from './utility-after.js';
import { type Averaging, WeightAverage } from './weight-average.js';
import { isNoWork, noWork, type Work } from './work.js';

/** How an attack trains: an optimizer, and a schedule of its learning rate; plain data. */
export interface FineTuneOptimizer extends OptimizerSpec {
  /** Schedule of the learning rate; default constant. */
  readonly schedule?: ScheduleSpec;
}

/** One fine-tuning run of an attack. */
export interface FineTuneOptions {
  /** Architecture and configuration. */
  model: ModelSpec;
  /** Weights to start from; not changed. */
  weights: StateDict;
  /** Labelled examples of the unauthorized task. */
  train: Dataset;
  /** Examples on which the score is measured. */
  test: Dataset;
  /** Optimizer and schedule. */
  optimizer: FineTuneOptimizer;
  /** Learning rate; what the schedule multiplies. */
  learningRate: number;
  /** What of the weights is trained; default all. */
  trainable?: MakeTrainable;
  /** Averages the weights over the steps: the average is what is measured; default they are used as they are. */
  average?: Averaging;
  /** Steps at most, those before it included, each of `countedBatch` examples. */
  steps: number;
  /** What was done to the weights before, which is a part of its cost; default nothing. */
  before?: Work;
  /** Examples of an optimizer step. */
  batchSize: number;
  /** Parts that a batch is computed in, one after the other; default 1. */
  accumulate?: number;
  /**
   * Examples that a step of the budget, of the curve and of the cost stands for, so that all trials of a search have the same examples
   * whatever their batches are: an optimizer step of twice as many is two. Default `batchSize`.
   */
  countedBatch?: number;
  /** Decides the order of the examples. */
  seed: number;
  /** Name of the metric that is the score; default the task's. */
  metric?: string;
  /** Score that ends the run when it is reached. */
  target?: number;
  /** Whether a run goes on after the target, so that it gives the best score as well; default false. */
  continueAfterTarget?: boolean;
  /**
   * A run that has not come this share of the way from guessing to perfect after 40 % of its budget is given up; default 0.25, negative:
   * none is. Searches give up trials of theirs, and none that is reported.
   */
  giveUpBelow?: number;
  /** How far two measurements of the score lie apart, as a ratio of steps; default 1.15. */
  evaluationSpacing?: number;
  /** Steps between two measurements at least; default 4. */
  evaluateEvery?: number;
  /** Ends the run after so many steps, since a trial before reached the target by then; default none. */
  beatenAfter?: number;
  /** Where a run waits for others to come as far, and may be told to end there; default nowhere. */
  pauses?: Pauses;
  /** Judges the weights with the best score by the authorized task; default nobody does. */
  judge?: JudgeUtility;
  /** Compiled programs to share. */
  programs: ProgramCache;
  /** Measures the score. */
  evaluator: Evaluator;
  /** What the weights are worth before the first step, measured or known of another run from them; default it is measured. */
  first?: (measure: () => Promise<Evaluation>) => Promise<Evaluation>;
  /** Ends the run after the current step. */
  signal?: AbortSignal;
  /** Hears after each optimizer step how many more steps of the budget are done. */
  onSteps?: (more: number) => void;
}

/** Where a run waits. */
export interface Pauses {
  /** Its steps, those taken before included; the score is measured there. */
  readonly at: readonly number[];
  /** Hears how far it has come; whether it goes on. */
  wait(so: Pick<Trial, 'score' | 'cost'> & { readonly step: number }): Promise<boolean>;
}

function measure(metric: string, { metrics }: Evaluation): number {
  return metrics[metric] ?? Number.NaN;
}

/** A fine-tuning run, measured. */
export interface Trial {
  /** Learning rate. */
  readonly learningRate: number;
  /** Seed. */
  readonly seed: number;
  /** The metric on the test examples after so many steps, from step 0, or from those that were taken before. */
  readonly curve: readonly { step: number; score: number }[];
  /** All that the task measures, at the end of the run. */
  readonly metrics: Evaluation['metrics'];
  /** Best score of the curve. */
  readonly score: number;
  /** Steps until the target was first reached, those before it included; none where it was not. */
  readonly cost?: number;
  /**
   * What its steps and what was done before cost in evaluations of the gradient of so many examples as a step counts; more than the steps for optimizers that need
   * more.
   */
  readonly evaluations: number;
  /** Tokens that it was trained on, padding apart; of texts. */
  readonly tokens?: number;
  /** What of all this was done to the weights before its first step, and what is to be said of it; none where nothing was and is. */
  readonly before?: Work;
  /** What its training took, and what was done before; not in results of versions before 0.3. */
  readonly spent?: Spent;
  /** Floating-point operations until the target was first reached, those before it included; none where it was not. */
  readonly costFlops?: number;
  /** What is left of the authorized task in the weights with the best score; only of reported trials, where it was asked for. */
  readonly utility?: TrialUtility;
  /** Why it ended; `halved`: others of its search were better when it had come as far. */
  readonly end: 'target' | 'budget' | 'beaten' | 'diverged' | 'given up' | 'halved' | 'failed';
  /** What its search varied beside the learning rate; none where that is all. */
  readonly point?: SearchPoint;
  /** What went wrong, of a trial that failed. */
  readonly failure?: string;
}

/** Steps at which the score is measured: every fourth at first by default, then by a ratio, 15 % apart by default. */
export function evaluationSteps(steps: number, growth = 1.15, every = 4): number[] {
  const grid: number[] = [];
  for (let step = 0; step < steps; ) {
    step = Math.min(Math.max(step + every, Math.ceil((step * growth) / every) * every), steps);
    grid.push(step);
  }
  return grid;
}

/** Below any part of a step. */
const rounding = 1e-9;

/** Share of the budget after which a trial without prospects is given up. */
const giveUpAfter = 0.4;

/**
 * Fine-tunes a copy of the weights and measures the score on the way; runs that diverge or have no prospects end early.
 *
 * @throws InterruptedError after `signal`.
 */
export async function fineTune({
  model,
  weights,
  train,
  test,
  optimizer,
  learningRate,
  trainable,
  average: averaging,
  steps,
  before = noWork,
  batchSize,
  accumulate,
  countedBatch = batchSize,
  seed,
  metric: named,
  target,
  continueAfterTarget = false,
  giveUpBelow = 0.25,
  evaluationSpacing,
  evaluateEvery,
  beatenAfter = Number.POSITIVE_INFINITY,
  pauses,
  judge,
  programs,
  evaluator,
  first: known = (measureIt) => measureIt(),
  signal,
  onSteps,
}: FineTuneOptions): Promise<Trial> {
  if (before.steps >= steps) {
    // Not what the user gave: a plan leaves out what does not fit, and one trial must not end the others.
    throw new WeightlockError(`expected fewer steps before a trial than its ${steps} in all, found ${before.steps}`);
  }
  const { task } = evaluator;
  const { name: metric } = task.metric(named ?? task.roles.score, test);
  const params = parameterSet(cloneWeights(weights));
  const plain = optimizers.get(optimizer.name).create(optimizer.options);
  // What a part is trained by is made of whole gradients, and an average of whole weights.
  const byRows = trainable || averaging || !plain.idleFactor ? undefined : () => true;
  const objective = await createObjective({
    model,
    task,
    dataset: train,
    batchSize,
    accumulate,
    seed,
    programs,
    byRows,
  });
  // Of few examples no batch is larger than all of them.
  const ratio = Math.min(batchSize, train.size) / Math.min(countedBatch, train.size);
  /** What so many optimizer steps come to, in steps of the budget; a part of one counts as one. */
  const exactly = (own: number) => before.steps + own * ratio;
  const stepAt = (own: number) => Math.ceil(exactly(own) - rounding);
  const most = Math.max(1, Math.floor((steps - before.steps) / ratio + rounding));
  /** Those of some steps of the budget that are as good as over after so many optimizer steps: one more would go beyond. */
  const passed = (some: Iterable<number>, own: number) =>
    [...some].filter((step) => step >= exactly(own) - rounding && (step < exactly(own + 1) - rounding || own === most));
  const due = new Set([...evaluationSteps(steps, evaluationSpacing, evaluateEvery), ...(pauses?.at ?? [])]);
  const guessing = task.guessing(test);
  const first = await known(() => evaluator.evaluate(params, test));
  const curve = [{ step: before.steps, score: measure(metric, first) }];
  let end: Trial['end'] = 'budget';
  let best = curve[0].score;
  // Where its attacker would stop: later weights may be worse, or no numbers any more.
  const bestParams = judge && new Map(Array.from(params, ([name, values]) => [name, values.slice()]));
  let last = first;
  let evaluations = before.evaluations;
  /** Undefined where examples have no length. */
  const worked: { tokens?: number } = before.tokens === undefined ? {} : { tokens: before.tokens };
  const average = averaging && new WeightAverage(params, averaging, most);
  /** The weights that an attacker would use. */
  const used = average?.values ?? params;
  const part = partRun(objective, params, plain, { make: trainable, seed });
  const counted = new FlopsToSteps(programs, before, part.flops);
  const evaluate = () => counted.aside(() => evaluator.evaluate(used, test));
  // Names of the whole model may be given factors, whichever of them are trained.
  const made = createOptimizer(optimizer, new Map([...objective.shapes, ...part.shapes]));
  /** Its own steps; a step elsewhere is counted from the released weights. */
  let taken = 0;
  /** Waits where others come as far. */
  const goesOn = async (at: readonly number[]) => {
    for (const step of at) {
      const so = { step, score: best, cost: costOf(curve, target) };
      // What others compute meanwhile is theirs.
      if (pauses && !(await counted.aside(() => pauses.wait(so)))) return false;
    }
    return true;
  };
  // A first step may be longer than the way to where others wait.
  const early = pauses?.at.filter((step) => step < exactly(1) - rounding) ?? [];
  if (!(await goesOn(early))) end = 'halved';
  await runSteps({
    params: part.params,
    shapes: part.shapes,
    compute: part.compute,
    rows: objective.rows,
    optimizer: made,
    learningRate,
    schedule: optimizer.schedule && createSchedule(optimizer.schedule, objective.stepsPerEpoch),
    steps: end === 'halved' ? 0 : most,
    signal,
    onDiverged: (_, { step: own, evaluations: spent, tokens: more }) => {
      taken = own;
      evaluations += ratio * spent;
      if (more !== undefined) worked.tokens = (worked.tokens ?? 0) + more;
      end = 'diverged';
      return 'stop';
    },
    afterStep: async ({ step: own, evaluations: spent, tokens: more, settled }) => {
      onSteps?.(stepAt(own) - stepAt(taken));
      taken = own;
      evaluations += ratio * spent;
      if (more !== undefined) worked.tokens = (worked.tokens ?? 0) + more;
      await part.write();
      average?.add(params);
      const step = stepAt(own);
      if (passed(due, own).length === 0) return undefined;
      await settled();
      const evaluation = await evaluate();
      const score = measure(metric, evaluation);
      counted.note(step);
      curve.push({ step, score });
      // What could not be measured says nothing of the others.
      if (score > best || Number.isNaN(best)) {
        best = score;
        for (const [name, values] of bestParams ?? []) values.set(used.get(name) ?? []);
      }
      last = evaluation;
      const isBelow = giveUpBelow >= 0 && best < guessing + giveUpBelow * (1 - guessing);
      if (!continueAfterTarget && target !== undefined && score >= target) end = 'target';
      else if (!Number.isFinite(evaluation.metrics[task.roles.loss])) end = 'diverged';
      else if (own >= giveUpAfter * most && isBelow) end = 'given up';
      else if (step >= beatenAfter) end = 'beaten';
      else if (pauses && !(await goesOn(passed(pauses.at, own)))) end = 'halved';
      return end === 'budget' ? undefined : 'stop';
    },
  });
  const cost = costOf(curve, target);
  const samples = taken * Math.min(batchSize, train.size);
  return {
    learningRate,
    seed,
    curve,
    metrics: last.metrics,
    score: best,
    cost,
    evaluations,
    ...worked,
    ...((!isNoWork(before) || before.spent.flops > 0 || before.notes) && { before }),
    spent: sumOfSpent([before.spent, { steps: taken, samples, flops: counted.own }]),
    ...(cost !== undefined && { costFlops: counted.until(cost) }),
    ...(judge && bestParams && { utility: await judge(bestParams) }),
    end,
  };
}

/** The first step of a curve at which a target is reached. */
function costOf(curve: Trial['curve'], target: number | undefined): number | undefined {
  return target === undefined ? undefined : curve.find(({ score }) => score >= target)?.step;
}

/** Floating-point operations of a run, whatever else its programs compute beside it, and of what was done before. */
class FlopsToSteps {
  readonly #start: number;
  /** By the step that they led to, those taken before included, as in the curve. */
  readonly #noted: Map<number, number>;
  #aside = 0;

  /** @param making - Operations that what is trained was made with. */
  constructor(
    readonly programs: Pick<ProgramCache, 'flops'>,
    readonly before: Work,
    making: number,
  ) {
    this.#start = programs.flops - making;
    this.#noted = new Map([[before.steps, before.spent.flops + making]]);
  }

  /** So many of its own steps so far. */
  get own(): number {
    return this.programs.flops - this.#start - this.#aside;
  }

  /** Does something that does not count. */
  async aside<T>(work: () => Promise<T>): Promise<T> {
    const before = this.programs.flops;
    const done = await work();
    this.#aside += this.programs.flops - before;
    return done;
  }

  /** Remembers what has been computed up to a step. */
  note(step: number): void {
    this.#noted.set(step, this.before.spent.flops + this.own);
  }

  /** What had been computed up to a step that was noted. */
  until(step: number): number | undefined {
    return this.#noted.get(step);
  }
}
