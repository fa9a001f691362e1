import { mean } from '../linalg/index.js';
import { InterruptedError } from '../registry/index.js';
import { type FineTuneOptions, fineTune, type Trial } from './fine-tune.js';

/** What a search over learning rates tries; the same for every starting point. */
export interface SearchBudget {
  /** Exponents of ten of the first round, one trial each, likely ones first: a trial stops when an earlier one beats it. */
  readonly decades: readonly number[];
  /** Whether half a decade to both sides of the best is tried as well; default true. */
  readonly refine?: boolean;
  /** Ratio of steps between two measurements of the search's trials; default that of the trials that are reported. */
  readonly searchSpacing?: number;
  /** Steps of the search's trials at most; default those of the trials that are reported. */
  readonly searchSteps?: number;
  /** Seeds of the search, at least one: the first for all rates, the others for the two best. */
  readonly searchSeeds: readonly number[];
  /** Seeds that the chosen learning rate is run with again; results are reported over these only. */
  readonly seeds: readonly number[];
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

/** Everything of a trial but its learning rate and seed. */
export type SettingOfTrial = Omit<FineTuneOptions, 'learningRate' | 'seed' | 'signal'>;

/** The same by the seed, which data and start may depend on; it is asked for when the trial is run. */
export type TrialSetting = (seed: number) => SettingOfTrial | Promise<SettingOfTrial>;

/** What an interrupted search has done, and who hears of what it does. */
export interface TrialLog {
  /** Trials that were done before, in their order: they are not run again. */
  readonly finished?: readonly Trial[];
  /** Hears of every trial that is run, and how many came before it; the next one begins when it has returned. */
  onTrial?(trial: Trial, index: number): void | Promise<void>;
  /** Ends the search after the current step. */
  readonly signal?: AbortSignal;
}

/** Learning rates that go into the last round of a search. */
const finalists = 2;

/**
 * Searches the learning rate: one trial a decade, one half a decade to both sides of the best, then the two best rates with
 * the other search seeds (one seed alone can fail a good rate by chance, and a floor found so would flatter the lock). The
 * rate that is best on average is run with fresh seeds, so that what is reported was not selected on.
 *
 * @param setting - The rest of a trial.
 * @param log - Trials that an interrupted search has done: a search is determined by what its trials find, so with them it ends
 * as it would have without the interruption.
 * @throws InterruptedError after the signal.
 */
export async function searchLearningRate(
  setting: TrialSetting,
  { decades, refine = true, searchSpacing, searchSteps, searchSeeds: [first, ...others], seeds }: SearchBudget,
  { finished = [], onTrial, signal }: TrialLog = {},
): Promise<SearchResult> {
  const search: Trial[] = [];
  const before = [...finished];
  let done = 0;
  const attempt = async (
    learningRate: number,
    seed: number,
    more: Partial<Pick<FineTuneOptions, 'steps' | 'beatenAfter' | 'evaluationSpacing'>> = {},
  ) => {
    const known = before.shift();
    const index = done++;
    if (known?.learningRate === learningRate && known.seed === seed) return known;
    // Of another search, or another version of this one: what follows it is not of this one either.
    before.length = 0;
    if (signal?.aborted) throw new InterruptedError('interrupted between two trials');
    const trial = await fineTune({ ...(await setting(seed)), ...more, learningRate, seed, signal });
    await onTrial?.(trial, index);
    return trial;
  };
  const report = async (learningRate: number): Promise<SearchResult> => {
    const trials: Trial[] = [];
    for (const seed of seeds) trials.push(await attempt(learningRate, seed));
    return { search, learningRate, trials };
  };
  // A single rate needs no search.
  if (decades.length === 1 && !refine) return report(10 ** decades[0]);
  const { steps: reported, continueAfterTarget = false } = await setting(first);
  const steps = searchSteps ?? reported;
  // Runs that go on after the target are judged by the score alone.
  const best = (trials: readonly Trial[]) =>
    continueAfterTarget ? trials.toSorted((a, b) => b.score - a.score) : ranked(trials);
  const gain = (trials: readonly Trial[]) => (continueAfterTarget ? meanScore(trials) : meanGain(trials, steps));
  const searching = { steps, ...(searchSpacing !== undefined && { evaluationSpacing: searchSpacing }) };
  const compete = async (learningRate: number) => {
    const beatenAfter = search.length > 0 && !continueAfterTarget ? best(search)[0].cost : undefined;
    search.push(await attempt(learningRate, first, { ...searching, beatenAfter }));
  };
  for (const decade of decades) await compete(10 ** decade);
  const coarse = best(search)[0].learningRate;
  for (const factor of refine ? [10 ** -0.5, 10 ** 0.5] : []) await compete(coarse * factor);

  const candidates = best(search).slice(0, finalists);
  const byRate = new Map(candidates.map((trial) => [trial.learningRate, [trial]]));
  for (const [learningRate, trials] of byRate) {
    for (const seed of others) trials.push(await attempt(learningRate, seed, searching));
    search.push(...trials.slice(1));
  }
  const [[learningRate]] = [...byRate].sort(([, a], [, b]) => gain(b) - gain(a));
  return report(learningRate);
}

/** Number of trials of one search, its confirmation included. */
export function trialCount({ decades, refine = true, searchSeeds, seeds }: SearchBudget): number {
  const rates = decades.length + (refine ? 2 : 0);
  if (rates === 1) return seeds.length;
  return rates + Math.min(finalists, rates) * (searchSeeds.length - 1) + seeds.length;
}

/** Trials by what they gain: fewest steps to the target first; where it was not reached, best score first. */
export function ranked(trials: readonly Trial[]): Trial[] {
  const cost = (trial: Trial) => trial.cost ?? Number.MAX_VALUE;
  return trials.toSorted((a, b) => cost(a) - cost(b) || b.score - a.score);
}

function meanScore(trials: readonly Trial[]): number {
  return mean(trials.map(({ score }) => score));
}

/** Mean over seeds of what a rate gains; a run that missed the target counts with its budget and, less, its score. */
function meanGain(trials: readonly Trial[], budget: number): number {
  const gains = trials.map(({ cost, score }) => (cost === undefined ? score : 1 + (budget - cost)));
  return mean(gains);
}
