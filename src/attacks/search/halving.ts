import type { Pauses, Trial } from '../trial/fine-tune.js';
import type { Candidate } from './space.js';

/** Of so many that come as far as a rung, one goes on. */
const reduction = 4;

/** What successive halving works with. */
export interface HalvingOptions {
  /** All that begin. */
  readonly candidates: readonly Candidate[];
  /** Steps at which they are compared, ascending; the last is the whole budget. */
  readonly rungs: readonly number[];
  /** Which of some are better, best first; `score` and `cost` as far as they have come. */
  rank<T extends Pick<Trial, 'score' | 'cost'>>(trials: readonly T[]): T[];
  /**
   * Begins a trial.
   *
   * @param wait - What it asks at each rung but the last, see `Pauses`.
   * @returns Once it has ended.
   */
  begin(candidate: Candidate, wait: Pauses['wait']): Promise<Trial>;
}

/** Of how many candidates how many go on from each rung: a quarter, at least one. */
export function survivors(count: number): number {
  return Math.max(1, Math.floor(count / reduction));
}

/**
 * Steps at which candidates are compared: the whole budget, a quarter of it, and so on, as many as it takes to leave one of all.
 *
 * @param every - Steps between two at least.
 */
export function rungsOf(candidates: number, steps: number, every: number): number[] {
  const rungs = [steps];
  for (let left = candidates; left > 1; left = survivors(left)) {
    const next = Math.max(every, Math.round(rungs[0] / reduction));
    if (next >= rungs[0]) break;
    rungs.unshift(next);
  }
  return rungs;
}

/** Steps of all trials of a search by halving, at most. */
export function stepsOfHalving(candidates: number, steps: number, every: number): number {
  const rungs = rungsOf(candidates, steps, every);
  let left = candidates;
  return rungs.reduce((sum, rung, index) => {
    const taken = left * (rung - (rungs[index - 1] ?? 0));
    left = survivors(left);
    return sum + taken;
  }, 0);
}

/** A trial that computes until its next rung, and waits there. */
class Runner {
  readonly #options: HalvingOptions;
  /** How far it has come. */
  so: Pick<Trial, 'score' | 'cost'> = { score: Number.NEGATIVE_INFINITY };
  /** Set when it has ended. */
  trial?: Trial;
  #goOn?: (whether: boolean) => void;
  #ended?: Promise<void>;

  constructor(
    readonly candidate: Candidate,
    options: HalvingOptions,
  ) {
    this.#options = options;
  }

  /** What the trial asks at a rung. */
  readonly wait: Pauses['wait'] = (so) => {
    this.so = so;
    return new Promise((resolve) => {
      this.#goOn = resolve;
      this.#paused?.();
    });
  };

  #paused?: () => void;

  /** Computes until the next rung or its end. */
  async advance(): Promise<void> {
    const paused = new Promise<void>((resolve) => {
      this.#paused = resolve;
    });
    // Before it begins: one that is done already may wait at once.
    const goOn = this.#goOn;
    this.#goOn = undefined;
    this.#ended ??= this.#options.begin(this.candidate, this.wait).then((trial) => {
      this.trial = trial;
      this.so = trial;
    });
    goOn?.(true);
    await Promise.race([paused, this.#ended]);
  }

  /** Ends it where it waits. */
  async stop(): Promise<void> {
    this.#goOn?.(false);
    await this.#ended;
  }
}

/**
 * Successive halving: all candidates train a few steps, the better quarter of them on from there, and so on. One process computes
 * one search, so it has all results of a rung before it promotes any: the promotions of ASHA where nobody waits for a worker, and
 * the same trials and steps for every starting point. What cannot be promoted any more is let go at once, so that few wait in
 * memory.
 *
 * @see Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016; Li et al.,
 * "A System for Massively Parallel Hyperparameter Tuning" (ASHA), MLSys 2020.
 */
export async function successiveHalving(options: HalvingOptions): Promise<void> {
  const { candidates, rungs, rank } = options;
  let running = candidates.map((candidate) => new Runner(candidate, options));
  for (const [index] of rungs.entries()) {
    const isLast = index === rungs.length - 1;
    const places = isLast ? running.length : survivors(running.length);
    let ahead: Runner[] = [];
    for (const runner of running) {
      await runner.advance();
      // One that has reached the target holds its place, though it has no need to go on.
      ahead = rank([...ahead, runner].map((each) => ({ ...each.so, runner: each }))).map((each) => each.runner);
      for (const last of ahead.splice(places)) await last.stop();
    }
    running = ahead;
  }
}
