import type { StateDict } from '../../models/index.js';
import { type Spent, sumOfSpent } from './spent.js';

/**
 * What was done to weights before a trial's first step, in the units of its steps: it is the attacker's, so it counts to what the
 * trial costs.
 */
export interface Work {
  /** Steps of the trial that it takes, of its own and of all that was tried, with what else it computed. */
  readonly steps: number;
  /** What the steps that the weights have behind them, and forward passes for these, cost in evaluations of the gradient of one batch of the trial. */
  readonly evaluations: number;
  /** The same of what was tried beside and not kept, such as other learning rates. */
  readonly tried: number;
  /** Tokens that the steps were trained on, padding apart; of texts. */
  readonly tokens?: number;
  /** All that was computed for it, what was tried and not kept included. */
  readonly spent: Spent;
  /** What came of transforms otherwise than their names say, such as that nothing was to be changed: one clause each; default nothing. */
  readonly notes?: readonly string[];
}

/** Weights that an attack begins with. */
export interface PreparedWeights {
  /** The weights; they stay as they are. */
  readonly weights: StateDict;
  /** What it took to make them of the released ones. */
  readonly work: Work;
}

/** Nothing was done. */
export const noWork: Work = { steps: 0, evaluations: 0, tried: 0, spent: sumOfSpent([]) };

/** Whether nothing was done. */
export const isNoWork = ({ steps, evaluations, tried }: Work): boolean =>
  steps === 0 && evaluations === 0 && tried === 0;

/** One after the other. */
export function addWork(a: Work, b: Partial<Work>): Work {
  const { steps = 0, evaluations = 0, tried = 0, tokens, spent = noWork.spent, notes = [] } = b;
  const told = [...(a.notes ?? []), ...notes];
  const all = a.tokens === undefined ? tokens : a.tokens + (tokens ?? 0);
  return {
    steps: a.steps + steps,
    evaluations: a.evaluations + evaluations,
    tried: a.tried + tried,
    ...(all !== undefined && { tokens: all }),
    spent: sumOfSpent([a.spent, spent]),
    ...(told.length > 0 && { notes: told }),
  };
}

/** A forward pass in evaluations of the gradient: the way back is two products for each of the way there. */
export const forwardCost = 1 / 3;
