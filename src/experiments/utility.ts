import type { Dataset } from '../data/index.js';
import type { EngineOptions } from '../engine/index.js';
import { pairedShareDifference, type ShareDifference } from '../linalg/index.js';
import type { LockResult } from '../locks/index.js';
import { type ModelSpec, parameterSet, type StateDict } from '../models/index.js';
import { type Evaluation, tasks } from '../tasks/index.js';
import { Evaluator, type PassWatch, type UtilityByType, utilityByType } from '../training/index.js';
import { hundredths } from './in-words.js';
import type { MatrixSpectrum } from './jobs/lock.js';

/** Utility of a model and its locked copy on the same examples. */
export interface UtilityChange {
  /** Name of the task that it was measured on. */
  readonly task: string;
  /** Score of guessing. */
  readonly guessing: number;
  /** Before the lock. */
  readonly before: UtilityByType;
  /** After it, of the weights as they are written. */
  readonly after: UtilityByType;
}

/**
 * The utility of a model and of a locked copy of it, both beside the first one's outputs.
 *
 * @param options - `before`: what the first is worth on these examples, where that was measured already. `onExamples` hears of the passes
 *   over them that `utilityByType` takes, not of that for the outputs which all is compared with.
 * @throws InterruptedError after the signal.
 */
export async function utilityChange(
  model: ModelSpec & { readonly weights: StateDict },
  locked: ModelSpec & { readonly weights: StateDict },
  dataset: Dataset,
  { engine, before, ...watch }: { engine: EngineOptions; before?: UtilityByType } & PassWatch,
): Promise<UtilityChange> {
  const evaluator = new Evaluator(model, engine);
  // A lock may have made another architecture of it.
  const other = locked.digest === model.digest ? evaluator : new Evaluator(locked, engine);
  try {
    const { signal } = watch;
    const original = await evaluator.original(parameterSet(model.weights), dataset, { signal });
    return {
      task: evaluator.task.name,
      guessing: evaluator.task.guessing(dataset),
      before: before ?? (await utilityByType(evaluator, parameterSet(model.weights), dataset, original, watch)),
      after: await utilityByType(other, parameterSet(locked.weights), dataset, original, watch),
    };
  } finally {
    await Promise.all([evaluator.release(), other.release()]);
  }
}

/**
 * The share of right answers that a lock cost, with its interval: by how many answers are others than before. Where the two answer alike
 * both are right or both wrong; where they do not, one may be right, so that the interval is wide enough.
 *
 * @param options - `before`, `after`: share of right answers. `agreement`: share of the answers that stayed, of `n` examples.
 */
export function shareLost({
  before,
  after,
  agreement,
  n,
}: {
  before: number;
  after: number;
  agreement: number;
  n: number;
}): ShareDifference {
  const fewer = Math.round((before - after) * n);
  const different = Math.max(Math.round((1 - agreement) * n), Math.abs(fewer));
  const lost = (different + fewer) / 2;
  return pairedShareDifference(lost, different - lost, n);
}

/** Share of the examples whose outputs a user must be able to compute in 16 bits. */
const mostLost = 0.001;

/** The metrics by which a task's utility is judged. */
function measures(name: string) {
  const { roles, metrics, answers } = tasks.get(name);
  const title = (metric: string) => metrics.find((known) => known.name === metric)?.title ?? metric;
  return {
    /** What the score is called. */
    scored: title(roles.score),
    /** What the divergence is called. */
    diverged: title(roles.divergence),
    score: ({ metrics: values }: Evaluation) => values[roles.score] ?? Number.NaN,
    divergence: ({ metrics: values }: Evaluation) => values[roles.divergence],
    notFinite: ({ metrics: values }: Evaluation) => values[roles.notFinite] ?? 0,
    /** What was lost with its interval, where the score is the share of examples that are answered rightly. */
    interval: (before: Evaluation, after: Evaluation): ShareDifference | undefined => {
      const { [roles.score]: old } = before.metrics;
      const { [roles.score]: own, agreement } = after.metrics;
      if (!answers || roles.score !== 'accuracy' || typeof old !== 'number') return undefined;
      if (typeof own !== 'number' || typeof agreement !== 'number') return undefined;
      return shareLost({ before: old, after: own, agreement, n: after.n });
    },
  };
}

/** How far σ1 must have risen to count as raised. */
const raisedBy = 1.1;

/**
 * Says where a lock that raises singular values raised few: with many matrices the push on each is weak beside the retain loss, and the
 * largest value alone hides that nothing else has moved. Undefined where it raised at least half.
 *
 * @param spectra - Of the matrices that it locks.
 */
export function raiseWarning(spectra: readonly MatrixSpectrum[]): string | undefined {
  const rises = spectra.map(({ name, before, after }) => ({
    name,
    from: before[0],
    to: after[0],
    by: after[0] / before[0],
  }));
  const raised = rises.filter(({ by }) => by >= raisedBy).length;
  if (rises.length === 0 || raised >= rises.length / 2) return undefined;
  const { name, from, to } = rises.reduce((a, b) => (b.by > a.by ? b : a));
  const most = `most in ${name}, from ${from.toPrecision(3)} to ${to.toPrecision(3)}`;
  return `σ1 rose by a tenth or more in ${raised} of ${rises.length} matrices (${most}): the others are hardly locked. More weight on the spectra (a smaller alpha), a larger rate or more steps raise more.`;
}

/** Says by how much the nearest check missed a budget. */
function missedBy(
  { step, evaluation }: NonNullable<LockResult['nearest']>,
  { floor, maxKl }: NonNullable<LockResult['budget']>,
  task: string,
): string {
  const { scored, diverged, score, divergence } = measures(task);
  const had = `${hundredths(score(evaluation))} % ${scored} and ${divergence(evaluation)?.toFixed(3)} ${diverged}`;
  const asked = `at least ${hundredths(floor)} %${maxKl === null ? '' : ` and at most ${maxKl}`}`;
  return `The nearest, after step ${step}, had ${had} on the ${evaluation.n} validation examples, where ${asked} was asked for.`;
}

/**
 * What an owner must know before a locked model is published: where the test examples lost more than the lock's budget, which
 * is held on other examples, or are too few to tell, and where a 16-bit copy is no longer what it was.
 */
export function utilityWarnings(
  { budget, before: checked, steps, nearest }: Pick<LockResult, 'budget' | 'before' | 'steps' | 'nearest'>,
  { task, before, after }: UtilityChange,
): string[] {
  const { scored, diverged, score, divergence, notFinite, interval } = measures(task);
  const warnings: string[] = [];
  if (steps === 0) {
    warnings.push(
      `The lock changed nothing: no check of its utility was within the budget. This is the unlocked model.${nearest && budget ? ` ${missedBy(nearest, budget, task)}` : ''}`,
    );
  }
  const points = (value: number) => `${hundredths(value)} points`;
  const lost = score(before.float32) - score(after.float32);
  const allowed = budget && checked ? score(checked) - budget.floor : Number.POSITIVE_INFINITY;
  const range = interval(before.float32, after.float32);
  const told = `${range ? `${hundredths(range.low)} to ${hundredths(range.high)}, ` : ''}n = ${after.float32.n}`;
  // Beyond rounding: shares of different numbers of examples.
  if (checked && lost > allowed + 1e-9) {
    warnings.push(
      `The test examples lost ${points(lost)} of ${scored} (${told}); the lock was allowed ${points(allowed)} on its ${checked.n} validation examples.`,
    );
  } else if (checked && range && range.high > allowed + 1e-9) {
    warnings.push(
      `The test examples are too few to tell whether the lock cost more than it was allowed, ${points(allowed)} of ${scored} on its ${checked.n} validation examples: they lost ${points(lost)} (${told}).`,
    );
  }
  const far = divergence(after.float32);
  if (budget && budget.maxKl !== null && (far === null || far > budget.maxKl)) {
    warnings.push(
      `On the test examples the ${diverged} is ${far === null ? 'not finite' : far.toFixed(3)}; the lock was allowed ${budget.maxKl} on its validation examples.`,
    );
  }
  const lostOutputs = notFinite(after.float32);
  if (lostOutputs > 0) warnings.push(`${points(lostOutputs)} of the outputs are not finite.`);
  for (const type of ['float16', 'bfloat16'] as const) {
    const worse = score(before[type]) - score(after[type]) - Math.max(lost, 0);
    const gone = notFinite(after[type]) - notFinite(before[type]);
    if (gone > mostLost) warnings.push(`In ${type}, ${points(gone)} of the outputs are not finite since the lock.`);
    else if (worse > 0.005)
      warnings.push(`In ${type} the lock costs ${points(worse)} of ${scored} more than in float32.`);
  }
  return warnings;
}
