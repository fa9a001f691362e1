import { type Cost, mean } from '../../linalg/index.js';
import type { AttackFacts, Composition } from '../composition.js';
import { isMeasuredTrial, type MissingTrials, measuredTrials } from '../search/measured.js';
import type { SearchResult } from '../search/search.js';
import { keyOf, keyOfParts } from '../search/space.js';
import type { Trial } from '../trial/fine-tune.js';
import { type Spent, sumOfSpent } from '../trial/spent.js';

/** Cost: steps to a target. Score: the best accuracy within the budget. */
export type Measure = 'cost' | 'score';

/** One search, labelled. */
export interface AttackRow extends AttackFacts {
  /** Name of its search; two rows of one have it in common. Not in results of versions before 0.3. */
  readonly search?: string;
  /** What the attack was made of. */
  readonly composition: Composition;
  /** Name of the optimizer. */
  readonly optimizer: string;
  /** Its options; default PyTorch's. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** What was measured. */
  readonly measure: Measure;
  /** Optimizer steps at most. */
  readonly budget: number;
  /** Draws of the starting point: each trial has one by its seed; default 1. */
  readonly draws?: number;
  /** What the search found. */
  readonly result: SearchResult;
  /** What is missing of the reported trials; none where all were measured. */
  readonly missing?: MissingTrials;
}

/** The costs of a row, one a seed that was measured; a run that ran out of budget is censored there. */
export function costs({ result, budget }: AttackRow): Cost[] {
  return measuredTrials(result.trials).map(({ cost }) =>
    cost === undefined ? { steps: budget, censored: true } : { steps: cost },
  );
}

/** The scores of a row, one a seed that was measured. */
export function scores({ result }: AttackRow): number[] {
  return measuredTrials(result.trials).map(({ score }) => score);
}

/** What an attacker gains, one number a trial, more is better: the score, or the cost with a minus. */
export function gains({ measure, budget }: AttackRow, trials: readonly Trial[]): number[] {
  return trials.map(({ score, cost }) => (measure === 'score' ? score : -(cost ?? budget)));
}

/** Places of trials by the draw of the starting point that they took. */
export function placesByDraw({ draws = 1, result }: AttackRow, places: readonly number[]): number[][] {
  // One draw is the same for all: each seed is a pair of its own.
  if (draws === 1) return places.map((place) => [place]);
  const groups = new Map<number, number[]>();
  for (const place of places) {
    const draw = result.trials[place].seed % draws;
    groups.set(draw, [...(groups.get(draw) ?? []), place]);
  }
  return [...groups.values()];
}

/** What all trials of a search took; what was done before trials of one seed and the same options, which they share, once. */
export function spentOn({ search, trials }: SearchResult): Spent {
  const prepared = new Set<string>();
  const parts = [...search, ...trials].map(({ seed, point, spent = sumOfSpent([]), before }) => {
    const key = `${seed} ${keyOfParts(point)}`;
    if (!before || !prepared.has(key)) {
      prepared.add(key);
      return spent;
    }
    const { steps, samples, flops } = before.spent;
    return { steps: spent.steps - steps, samples: spent.samples - samples, flops: spent.flops - flops };
  });
  return sumOfSpent(parts);
}

/** The trials of a search with what it chose; of what is fitted, whose penalty is not searched, all. */
export function chosenInSearch({ trains, result: { search, learningRate, point } }: AttackRow): readonly Trial[] {
  const chosen = keyOf({ learningRate, point });
  return trains ? search.filter((trial) => keyOf({ ...trial, seed: undefined }) === chosen) : search;
}

/**
 * What the search saw of what it chose, on its own seeds: the best of many attacks is chosen by this, so that the numbers that
 * are reported were not selected on. Only a run at a single rate, and a result of an older version, has none.
 */
export function searchedGain(row: AttackRow): number {
  const chosen = measuredTrials(chosenInSearch(row));
  return mean(gains(row, chosen.length > 0 ? chosen : measuredTrials(row.result.trials)));
}

/**
 * The row with the largest mean gain for the attacker on the seeds of the search, of those with a reported trial that was
 * measured; none of no such rows.
 */
export function bestRow(rows: readonly AttackRow[]): AttackRow | undefined {
  const counted = rows.filter(({ result }) => result.trials.some(isMeasuredTrial));
  return counted.reduce<AttackRow | undefined>(
    (best, row) => (best === undefined || searchedGain(row) > searchedGain(best) ? row : best),
    undefined,
  );
}

/** The mean gain of a row with the reported seeds. */
export function reportedGain(row: AttackRow): number {
  return mean(gains(row, measuredTrials(row.result.trials)));
}

/** Rows in an order in which, of two that gain the same, training is named. */
export function trainingFirst(rows: readonly AttackRow[]): AttackRow[] {
  return [...rows.filter(({ trains }) => trains), ...rows.filter(({ trains }) => !trains)];
}
