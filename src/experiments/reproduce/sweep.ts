import type { AttackOptimizer, AttackSetting, TransformOptions } from '../../attacks/index.js';
import type { DataSpec } from '../../data/index.js';
import type { AttackPlan } from '../jobs/attack-plan.js';
import type { Scale } from './reproduction.js';

/** The budget of an attack, the same for every starting point. */
export interface SweepBudget {
  /** Optimizer steps. */
  readonly steps: number;
  /** Examples a step. */
  readonly batchSize: number;
  /** Steps of the searches' trials; default the same. */
  readonly searchSteps?: number;
  /** Seeds of the searches. */
  readonly searchSeeds: readonly number[];
  /** Seeds of the runs that are reported. */
  readonly seeds: readonly number[];
  /** Ratio of steps between two measurements. */
  readonly evaluationSpacing: number;
  /** Whether half a decade to both sides of the best rate is tried as well; default true. */
  readonly refine?: boolean;
}

/** What every experiment sets for a scale. */
export interface SweepSettings {
  /** Training examples, of the authorized task; none: all. */
  readonly limit?: number;
  /** Test examples; none: all. */
  readonly testLimit?: number;
  /** Budget of each attack but for its steps. */
  readonly budget: Omit<SweepBudget, 'steps'>;
  /** Optimizers and learning rates of the sweep. */
  readonly optimizers: readonly AttackOptimizer[];
  /** How many of them the adaptive attacks try; default all. */
  readonly adaptiveOptimizers?: number;
  /** Names of the attacks of the sweep; default the suite `quick`. */
  readonly attackNames?: readonly string[];
}

/** The attacks of the scale `medium`: what eight hours have room for at the paper's epochs. */
export const attacksOfMedium = [
  'fine-tune',
  'rescale',
  'clip',
  'clip-rescale',
  'reset',
  'frozen',
  'white-box',
] as const;

/** What an attack is after. */
export interface SweepGoal {
  /** Name of the task in the plan. */
  readonly label: string;
  /** Unauthorized task. */
  readonly data: DataSpec;
  /** Score to which the cost is counted. */
  readonly target: number;
  /** Name of the metric that is the score; default the task's. */
  readonly metric?: string;
  /** Labelled examples of each class; default all. */
  readonly perClass?: number;
  /** Examples like those of the authorized task, for attacks that train on such first; default the attacker has none. */
  readonly retain?: DataSpec;
  /** Examples of the authorized task: what the best runs of a sweep leave of it is measured on those of its test; default it is not. */
  readonly authorized?: DataSpec;
}

/**
 * What the attackers of a reproduction do to the weights first: they clip the `topK` singular values of each matrix that the
 * lock raised, rescale the layers, draw those of some names anew, or several of it.
 */
export function adaptiveTransforms({ topK, reset }: { topK: number; reset?: readonly string[] }): TransformOptions {
  return { clip: { topK, lead: { topK, include: [] } }, rescale: {}, ...(reset && { reset: { include: reset } }) };
}

/** Share of the training examples that is held back: the paper holds back none. */
export function heldBack(scale: Scale): number {
  return scale === 'paper' ? 0 : 0.01;
}

/** A run of a search that has not come a twentieth of the way after 40 % of its budget is given up: small budgets are short. */
const giveUpBelow = 0.05;

function setting(
  { data, target, metric, perClass, retain }: SweepGoal,
  budget: SweepBudget,
): Omit<AttackSetting, 'optimizers'> {
  return {
    data,
    target,
    metric,
    perClass,
    ...(retain && { retain }),
    ...budget,
    continueAfterTarget: true,
    giveUpBelow,
  };
}

/**
 * The search over optimizers and learning rates, with cost and score from the same runs.
 *
 * @param choice - `attacks`: by name, default the suite `quick`; those with transforms need options of these.
 */
export function sweep(
  goal: SweepGoal,
  optimizers: readonly AttackOptimizer[],
  budget: SweepBudget,
  { attacks, transforms, adaptiveOptimizers }: Pick<AttackPlan, 'attacks' | 'transforms' | 'adaptiveOptimizers'> = {},
): AttackPlan {
  const { authorized } = goal;
  const whole = { ...setting(goal, budget), optimizers, ...(authorized && { authorized }) };
  return {
    label: goal.label,
    budgets: [{ measures: ['cost', 'score'], setting: whole }],
    ...(attacks && { attacks }),
    transforms,
    adaptiveOptimizers,
  };
}

/** Runs with one optimizer and one learning rate, no search and none given up: a setting that the paper gives. */
export function singleSetting(
  goal: SweepGoal,
  { learningRate, ...optimizer }: Omit<AttackOptimizer, 'decades'> & { learningRate: number },
  budget: SweepBudget,
): AttackPlan {
  const optimizers = [{ ...optimizer, decades: [Math.log10(learningRate)] }];
  // What a run ends with is all that is reported of it.
  const only = { evaluateEvery: budget.steps, refine: false, giveUpBelow: -1 };
  const whole = { ...setting(goal, budget), ...only, optimizers };
  return {
    label: `${goal.label}-single`,
    budgets: [{ measures: ['score'], setting: whole }],
    plainFrom: ['unlocked', 'locked'],
  };
}
