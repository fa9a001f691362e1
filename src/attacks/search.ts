import { type FineTuneOptions, fineTune, type Trial } from './fine-tune.js';

/** What a search over learning rates tries; the same for every starting point. */
export interface SearchBudget {
  /** Exponents of ten of the first round, one trial each, likely ones first: a trial stops when an earlier one beats it. */
  decades: readonly number[];
  /** Seed of the search. */
  searchSeed: number;
  /** Seeds that the best learning rate is run with again; results are reported over these only. */
  seeds: readonly number[];
}

/** The best learning rate of an optimizer, found and then measured again with fresh seeds. */
export interface SearchResult {
  /** All trials of the search. */
  readonly search: readonly Trial[];
  /** The learning rate chosen by the search. */
  readonly learningRate: number;
  /** Trials with that rate, one a seed. */
  readonly trials: readonly Trial[];
}

/** Everything of a trial but its learning rate and seed; data and start may depend on the seed. */
export type TrialSetting = (seed: number) => Omit<FineTuneOptions, 'learningRate' | 'seed'>;

/**
 * Searches the learning rate: one trial a decade, then one half a decade to both sides of the best, then the best again
 * with fresh seeds, so that what is reported was not selected on.
 *
 * @param setting - The rest of a trial.
 * @param onTrial - Hears of every trial.
 */
export async function searchLearningRate(
  setting: TrialSetting,
  { decades, searchSeed, seeds }: SearchBudget,
  onTrial?: (trial: Trial) => void,
): Promise<SearchResult> {
  const search: Trial[] = [];
  const attempt = async (learningRate: number, seed: number, beatenAfter?: number) => {
    const trial = await fineTune({ ...setting(seed), learningRate, seed, beatenAfter });
    onTrial?.(trial);
    return trial;
  };
  const compete = async (learningRate: number) => {
    const beatenAfter = search.length > 0 ? bestTrial(search).cost : undefined;
    search.push(await attempt(learningRate, searchSeed, beatenAfter));
  };
  for (const decade of decades) await compete(10 ** decade);
  const coarse = bestTrial(search).learningRate;
  for (const factor of [10 ** -0.5, 10 ** 0.5]) await compete(coarse * factor);
  const { learningRate } = bestTrial(search);
  const trials: Trial[] = [];
  for (const seed of seeds) trials.push(await attempt(learningRate, seed));
  return { search, learningRate, trials };
}

/** Number of trials of one search, its confirmation included. */
export function trialCount({ decades, seeds }: SearchBudget): number {
  return decades.length + 2 + seeds.length;
}

/** The trial that reached the target in the fewest steps; where none did (or there is no target), the best score. */
export function bestTrial(trials: readonly Trial[]): Trial {
  return trials.reduce((best, trial) => {
    if (best.cost !== undefined || trial.cost !== undefined) {
      return (trial.cost ?? Number.POSITIVE_INFINITY) < (best.cost ?? Number.POSITIVE_INFINITY) ? trial : best;
    }
    return trial.score > best.score ? trial : best;
  });
}
