import { InputError } from '../registry/index.js';
import { normalQuantile } from './statistics.js';

/** A time until something happened, or (`censored`) until it was last seen not to have. */
export interface Duration {
  /** The time, above 0. */
  readonly time: number;
  /** Whether it had not happened by then; default no. */
  readonly censored?: boolean;
}

/** A step of a survival curve. */
export interface SurvivalStep {
  /** From here on. */
  readonly time: number;
  /** Share for which it has not happened. */
  readonly survival: number;
  /** Bounds of the share; none where all are alike, so that there is no variance to go by. */
  readonly low?: number;
  /** Upper bound. */
  readonly high?: number;
}

/**
 * The Kaplan-Meier estimate of a survival curve, with pointwise 95 % bounds by Greenwood's variance of `log(−log S)`.
 *
 * @returns One step for each time at which something happened, ascending.
 * @see Kaplan and Meier, JASA 53 (1958); Kalbfleisch and Prentice, "The Statistical Analysis of Failure Time Data", 1.4.
 */
export function survivalCurve(durations: readonly Duration[]): SurvivalStep[] {
  const times = [...new Set(durations.flatMap(({ time, censored }) => (censored ? [] : [time])))].sort((a, b) => a - b);
  let survival = 1;
  let greenwood = 0;
  return times.map((at) => {
    // Who was censored at the same time is taken to have been there still.
    const risk = durations.filter(({ time }) => time >= at).length;
    const events = durations.filter(({ time, censored }) => time === at && !censored).length;
    survival *= 1 - events / risk;
    greenwood += events / (risk * (risk - events));
    if (!(survival > 0)) return { time: at, survival: 0 };
    const logarithm = Math.log(survival);
    const half = (normalQuantile * Math.sqrt(greenwood)) / Math.abs(logarithm);
    return { time: at, survival, low: survival ** Math.exp(half), high: survival ** Math.exp(-half) };
  });
}

/** A median time with its 95 % interval. */
export interface MedianDuration {
  /** Number of times. */
  readonly n: number;
  /** The median; none where it happened for fewer than half. */
  readonly median?: number;
  /** Lower bound. */
  readonly low: number;
  /** Upper bound; none where the times do not reach so far. */
  readonly high?: number;
  /** The longest time that was seen: what a median that is not known lies above, if all others are below. */
  readonly longest: number;
}

/**
 * The median of a survival curve, and all times whose survival cannot be told from a half.
 *
 * @throws InputError of no times.
 * @see Brookmeyer and Crowley, "A Confidence Interval for the Median Survival Time", Biometrics 38 (1982).
 */
export function medianDuration(durations: readonly Duration[]): MedianDuration {
  if (durations.length === 0) throw new InputError('median time: expected at least one time, got none');
  const steps = survivalCurve(durations);
  const first = (is: (step: SurvivalStep) => boolean) => steps.find(is)?.time;
  const longest = Math.max(...durations.map(({ time }) => time));
  // With no variance to go by there is no upper bound, and the lower one is reached at the latest.
  const low = first((step) => (step.low ?? 0) <= 0.5) ?? longest;
  const high = first((step) => step.high !== undefined && step.high <= 0.5);
  return { n: durations.length, median: first(({ survival }) => survival <= 0.5), low, high, longest };
}
