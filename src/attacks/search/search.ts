import type { Dataset } from '../../data/index.js';
import { mean } from '../../linalg/index.js';
import type { StateDict } from '../../models/index.js';
import { InterruptedError, OutputError, WeightlockError } from '../../registry/index.js';
import type { Evaluation } from '../../tasks/index.js';
import { type FineTuneOptions, fineTune, type Trial } from '../trial/fine-tune.js';
import { rungsOf, stepsOfHalving, successiveHalving } from './halving.js';
import { isMeasuredTrial, measuredTrials } from './measured.js';
import { type Candidate, keyOf, optionsAt, type SearchPoint, type SearchSpace, sobolCandidates } from './space.js';

/** How a space is searched, other than over the learning rates of a grid. */
export interface SearchMethod {
  /** `sobol`: each candidate with the whole budget; `asha`: by successive halving. */
  readonly name: 'sobol' | 'asha';
  /** Candidates. */
  readonly trials: number;
  /** What is varied, the learning rate among it. */
  readonly space: SearchSpace;
}

/** What a search over learning rates tries; the same for every starting point. */
export interface SearchBudget {
  /** What an earlier search chose: nothing is searched, and it is run with {@link seeds}. Default it is to be found. */
  readonly at?: Candidate;
  /** Searches a space in the place of the decades; default the grid of those. */
  readonly method?: SearchMethod;
  /**
   * Values of options of transforms and trained parts that the grid tries, under their names (`ema.decay`), the first with all learning
   * rates, then the others one after the other at the best; default none. A method has them in its space.
   */
  readonly choices?: Readonly<Record<string, readonly (number | string)[]>>;
  /** Exponents of ten of the first round, one trial each, likely ones first: a trial stops when an earlier one beats it. */
  readonly decades: readonly number[];
  /** Whether half a decade to both sides of the best is tried as well; default true. */
  readonly refine?: boolean;
  /** Ratio of steps between two measurements of the search's trials; default that of the trials that are reported. */
  readonly searchSpacing?: number;
  /** Steps of the search's trials at most; default those of the trials that are reported. */
  readonly searchSteps?: number;
  /**
   * Whether what has nothing to search is run with the seeds of the search as well, so that it can be chosen among others by those;
   * default false.
   */
  readonly alsoSearchSeeds?: boolean;
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
  /** What else it chose; none where it searched the learning rate alone. */
  readonly point?: SearchPoint;
  /** Trials with that rate, one a seed. */
  readonly trials: readonly Trial[];
  /** The best score of always giving the same answer, which no attacker needs a model for; undefined where examples have none. */
  readonly constant?: number;
}

/** Everything of a trial but its learning rate and seed. */
export type SettingOfTrial = Omit<FineTuneOptions, 'learningRate' | 'seed' | 'signal' | 'onSteps'>;

/** The same by the seed and the point of the search, which data and start may depend on; it is asked for when the trial is run. */
export type TrialSetting = (seed: number, point?: SearchPoint) => SettingOfTrial | Promise<SettingOfTrial>;

/** What an interrupted search has done, and who hears of what it does. */
export interface TrialLog {
  /** Trials that were done before, in their order: they are not run again. */
  readonly finished?: readonly Trial[];
  /**
   * Hears of every trial that is run, how many came before it, and how many seconds it took with all that was measured; the next
   * one begins when it has returned.
   */
  onTrial?(trial: Trial, index: number, seconds: number): void | Promise<void>;
  /** Hears after each step how many more of the trials' steps are done. */
  onSteps?(more: number): void;
  /** Ends the search after the current step. */
  readonly signal?: AbortSignal;
}

/** Candidates that go into the last round of a search. */
const finalists = 2;

/** What a trial of a search may have otherwise than those that are reported. */
type TrialOptions = Partial<
  Pick<FineTuneOptions, 'steps' | 'beatenAfter' | 'evaluationSpacing' | 'giveUpBelow' | 'pauses' | 'judge'>
>;

/** The trials of one search, run or taken from an interrupted one. */
class Trials {
  readonly #before: Trial[];
  #done = 0;
  /** Seconds of what was prepared before the first trial. */
  #preparing = 0;
  #failed: Error | undefined;
  #succeeded = false;
  /** What weights that trials begin with are worth: most begin with the very same. */
  readonly #first = new WeakMap<StateDict, { readonly test: Dataset; readonly found: Promise<Evaluation> }>();

  /** @param decides - Whether a trial is one of those that a search fails with, where all of them do. */
  constructor(
    readonly setting: TrialSetting,
    readonly log: TrialLog,
    decides: (trial: Trial) => boolean,
  ) {
    const { finished = [] } = log;
    // Where none of them was measured, the search failed, whatever lies behind them: it is tried again.
    this.#before = finished.some((trial) => decides(trial) && isMeasuredTrial(trial)) ? [...finished] : [];
  }

  /** The rest of a trial, by its seed and point; the time that it takes is the next trial's. */
  async prepare(seed: number, point?: SearchPoint): Promise<SettingOfTrial> {
    const timer = new Timer();
    const setting = await this.setting(seed, point);
    this.#preparing += timer.seconds;
    return setting;
  }

  /** Runs a trial, unless it is done; one that fails is a result as well, unless all do. */
  async run(candidate: Candidate, seed: number, more: TrialOptions = {}): Promise<Trial> {
    const { signal, onSteps } = this.log;
    const [next] = this.#before;
    if (!more.pauses && next && isTrialOf(next, candidate, seed)) return this.#end(next);
    // Trials that halt on their way end in another order than they begin.
    const known = more.pauses && this.#before.find((trial) => isTrialOf(trial, candidate, seed));
    if (known && more.pauses) {
      await replay(known, more.pauses);
      return this.#end(known);
    }
    // Of another search, or another version of this one: what follows it is not of this one either.
    if (!more.pauses) this.#before.length = 0;
    if (signal?.aborted) throw new InterruptedError('interrupted between two trials');
    const timer = new Timer();
    const { pauses, ...others } = more;
    const timed = pauses && { ...pauses, wait: timer.outside(pauses.wait) };
    let trial: Trial;
    try {
      const { learningRate, point } = candidate;
      const setting = optionsAt({ ...(await this.setting(seed, point)), ...others, pauses: timed }, point);
      const found = await fineTune({ ...setting, first: this.#atFirst(setting), learningRate, seed, signal, onSteps });
      trial = point ? { ...found, point } : found;
    } catch (error) {
      // A disk that is full is no property of the trial.
      if (!(error instanceof Error) || error instanceof InterruptedError || error instanceof OutputError) throw error;
      this.#failed ??= error;
      trial = failedTrial(candidate, seed, error);
    }
    return this.#end(trial, timer.seconds);
  }

  /** What the weights of a trial are worth before its first step: measured once for all that begin with them. */
  #atFirst({ weights, test }: SettingOfTrial): FineTuneOptions['first'] {
    return (measure) => {
      const known = this.#first.get(weights);
      if (known?.test === test) return known.found;
      const found = measure();
      this.#first.set(weights, { test, found });
      // A failure is the trial's, and the next one's to meet again.
      found.catch(() => this.#first.delete(weights));
      return found;
    };
  }

  /**
   * Asks for one trial so far that was measured, before something is chosen.
   *
   * @throws WeightlockError what the first trial failed with, where every trial did: then it is no property of the trials.
   */
  requireOne(): void {
    const error = this.#failed;
    if (!error || this.#succeeded) return;
    throw error instanceof WeightlockError ? error : new WeightlockError(error.message, { cause: error });
  }

  /** @param seconds - That it took; none of one that is known. */
  async #end(trial: Trial, seconds?: number): Promise<Trial> {
    const index = this.#done++;
    if (isMeasuredTrial(trial)) this.#succeeded = true;
    else this.#failed ??= new WeightlockError(trial.failure ?? 'unknown');
    if (seconds !== undefined) {
      const all = seconds + this.#preparing;
      this.#preparing = 0;
      await this.log.onTrial?.(trial, index, all);
    } else if (this.#before[0] === trial) this.#before.shift();
    else this.#before.splice(this.#before.indexOf(trial), 1);
    return trial;
  }
}

/** Whether a trial is of a candidate and a seed. */
export function isTrialOf(trial: Trial, candidate: Candidate, seed: number): boolean {
  return keyOf(trial) === keyOf({ ...candidate, seed });
}

/** Goes through the pauses of a trial that is done, as it did. */
async function replay({ curve, end, cost }: Trial, { at, wait }: NonNullable<TrialOptions['pauses']>): Promise<void> {
  const last = curve.at(-1)?.step ?? 0;
  for (const step of at) {
    if (step > last || (step === last && end !== 'halved')) break;
    const scores = curve.filter((point) => point.step <= step).map(({ score }) => score);
    await wait({ step, score: Math.max(...scores), cost: cost !== undefined && cost <= step ? cost : undefined });
  }
}

/** A trial that ended with an error: what it would have gained is not known. */
function failedTrial({ learningRate, point }: Candidate, seed: number, { message }: Error): Trial {
  return {
    learningRate,
    seed,
    ...(point && { point }),
    curve: [],
    metrics: {},
    score: Number.NaN,
    evaluations: 0,
    end: 'failed',
    failure: message,
  };
}

/** What stands for the result of a search that cannot be done: all that would be reported is missing. */
export function impossibleSearch({ decades, seeds }: SearchBudget, error: Error): SearchResult {
  const learningRate = 10 ** (decades[0] ?? 0);
  return { search: [], learningRate, trials: seeds.map((seed) => failedTrial({ learningRate }, seed, error)) };
}

/** Seconds since its making, without those that were spent outside. */
class Timer {
  readonly #started = performance.now();
  #outside = 0;

  get seconds(): number {
    return (performance.now() - this.#started - this.#outside) / 1000;
  }

  /** The same function, whose time does not count. */
  outside<Given, Found>(wait: (given: Given) => Promise<Found>): (given: Given) => Promise<Found> {
    return async (given) => {
      const left = performance.now();
      const found = await wait(given);
      this.#outside += performance.now() - left;
      return found;
    };
  }
}

/**
 * Searches the learning rate, and what else a method varies: by default one trial a decade and one half a decade to both sides of
 * the best, then other values of what else is varied, or the candidates of the method; then the two best with the other search
 * seeds (one seed alone can fail a good rate by chance, and a floor found so would flatter the lock). What is best on average is
 * run with fresh seeds, so that what is reported was not selected on.
 *
 * @param setting - The rest of a trial.
 * @param log - Trials that an interrupted search has done: a search is determined by what its trials find, so with them it ends
 * as it would have without the interruption.
 * @throws InterruptedError after the signal.
 */
export async function searchLearningRate(
  setting: TrialSetting,
  budget: SearchBudget,
  log: TrialLog = {},
): Promise<SearchResult> {
  const { decades, refine = true, searchSpacing, searchSteps, method, choices = {}, seeds } = budget;
  const [first, ...others] = budget.searchSeeds;
  const search: Trial[] = [];
  const only = onlyCandidate(budget);
  const trials = new Trials(setting, log, ({ seed }) => only !== undefined || seed === first);
  const report = async ({ learningRate, point }: Candidate): Promise<SearchResult> => {
    const found: Trial[] = [];
    // What is reported is run to its end: one that seems to have no prospects may only be late.
    const whole = { giveUpBelow: -1 };
    for (const seed of seeds) found.push(await trials.run({ learningRate, point }, seed, whole));
    trials.requireOne();
    return { search, learningRate, ...(point && { point }), trials: found };
  };
  if (only) return report(only);
  const varied = Object.entries(choices);
  const candidates = method ? sobolCandidates(method.space, method.trials, first) : [];
  const usual = varied.length > 0 ? Object.fromEntries(varied.map(([name, [value]]) => [name, value])) : undefined;
  const {
    steps: reported,
    continueAfterTarget = false,
    evaluateEvery = 4,
    before,
  } = await trials.prepare(first, method ? candidates[0].point : usual);
  const steps = searchSteps ?? reported;
  // Runs that go on after the target are judged by the score alone.
  const rank = <T extends Pick<Trial, 'score' | 'cost'>>(some: readonly T[]) =>
    continueAfterTarget ? some.toSorted((a, b) => worth(b) - worth(a)) : ranked(some);
  /** What was measured so far, best first: what failed is never chosen. */
  const best = () => rank(measuredTrials(search));
  const gain = (some: readonly Trial[]) => (continueAfterTarget ? meanScore(some) : meanGain(some, steps));
  // What is left of the authorized task is a matter of what is reported.
  const searching = {
    steps,
    judge: undefined,
    ...(searchSpacing !== undefined && { evaluationSpacing: searchSpacing }),
  };
  const compete = async (candidate: Candidate) => {
    const beatenAfter = continueAfterTarget ? undefined : best().at(0)?.cost;
    search.push(await trials.run(candidate, first, { ...searching, beatenAfter }));
  };
  if (method) {
    if (method.name === 'sobol') for (const candidate of candidates) await compete(candidate);
    else {
      const taken = before?.steps ?? 0;
      // Candidates are compared by steps of their own: those before are the same for all.
      const rungs = rungsOf(candidates.length, steps - taken, evaluateEvery).map((own) => taken + own);
      const at = rungs.slice(0, -1);
      const begin = async (candidate: Candidate, wait: NonNullable<TrialOptions['pauses']>['wait']) => {
        const trial = await trials.run(candidate, first, { ...searching, pauses: { at, wait } });
        search.push(trial);
        return trial;
      };
      await successiveHalving({ candidates, rungs, rank, begin });
    }
  } else {
    const point = usual && { point: usual };
    for (const decade of decades) await compete({ learningRate: 10 ** decade, ...point });
    trials.requireOne();
    const coarse = best()[0].learningRate;
    for (const factor of refine ? [10 ** -0.5, 10 ** 0.5] : [])
      await compete({ learningRate: coarse * factor, ...point });
    for (const [name, values] of varied) {
      const found = best()[0];
      for (const value of values.slice(1)) {
        await compete({ learningRate: found.learningRate, point: { ...found.point, [name]: value } });
      }
    }
  }

  trials.requireOne();
  const last = best().slice(0, finalists);
  const byCandidate = new Map(last.map((trial) => [keyOf({ ...trial, seed: undefined }), [trial]]));
  for (const again of byCandidate.values()) {
    const [{ learningRate, point }] = again;
    for (const seed of others) again.push(await trials.run({ learningRate, point }, seed, searching));
    search.push(...again.slice(1));
  }
  const [[chosen]] = [...byCandidate.values()].sort((a, b) => gain(b) - gain(a));
  return report(chosen);
}

/** What a search has to choose from, where it is one alone: then there is no search. */
export function onlyCandidate({
  at,
  method,
  decades,
  refine = true,
  choices = {},
}: Omit<SearchBudget, 'searchSeeds' | 'seeds'>): Candidate | undefined {
  if (at) return at;
  const isOne = !method && decades.length === 1 && !refine && Object.keys(choices).length === 0;
  return isOne ? { learningRate: 10 ** decades[0] } : undefined;
}

/** Number of trials of one search, its confirmation included. */
export function trialCount(budget: SearchBudget): number {
  const { at, decades, refine = true, alsoSearchSeeds = false, searchSeeds, seeds, method, choices = {} } = budget;
  if (onlyCandidate(budget)) return seeds.length + (alsoSearchSeeds && !at ? searchSeeds.length : 0);
  const others = Object.values(choices).reduce((sum, values) => sum + values.length - 1, 0);
  const rates = method?.trials ?? decades.length + (refine ? 2 : 0) + others;
  return rates + Math.min(finalists, rates) * (searchSeeds.length - 1) + seeds.length;
}

/** Steps of one trial of a search on average, at most. */
export function stepsOfSearchTrial({ method, searchSteps, searchSeeds }: SearchBudget, steps: number): number {
  const most = searchSteps ?? steps;
  if (method?.name !== 'asha') return most;
  const again = Math.min(finalists, method.trials) * (searchSeeds.length - 1);
  return (stepsOfHalving(method.trials, most, 1) + again * most) / (method.trials + again);
}

/** Trials by what they gain: fewest steps to the target first; where it was not reached, best score first, what is not known last. */
export function ranked<T extends Pick<Trial, 'score' | 'cost'>>(trials: readonly T[]): T[] {
  const cost = (trial: T) => trial.cost ?? Number.MAX_VALUE;
  return trials.toSorted((a, b) => cost(a) - cost(b) || worth(b) - worth(a));
}

/** A score to rank by: one that is not known comes last. */
function worth({ score }: Pick<Trial, 'score'>): number {
  return Number.isNaN(score) ? -Number.MAX_VALUE : score;
}

/** Mean over the seeds that were measured; of none the least that there is. */
function meanScore(trials: readonly Trial[]): number {
  const found = measuredTrials(trials).map(worth);
  return found.length > 0 ? mean(found) : -Number.MAX_VALUE;
}

/** Mean over the seeds that were measured of what a rate gains; a run that missed the target counts with its budget and, less, its score. */
function meanGain(trials: readonly Trial[], budget: number): number {
  const gains = measuredTrials(trials).map((trial) =>
    trial.cost === undefined ? worth(trial) : 1 + (budget - trial.cost),
  );
  return gains.length > 0 ? mean(gains) : -Number.MAX_VALUE;
}
