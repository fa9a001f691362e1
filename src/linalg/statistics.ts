import { InputError } from '../registry/index.js';

/** An attack cost: optimizer steps until the target was reached, or (`censored`) the budget that ran out first. */
export interface Cost {
  /** Optimizer steps; a fraction only as the mean of two. */
  steps: number;
  /** Whether the budget ran out at `steps`; default no. */
  censored?: boolean;
}

/** Arithmetic mean; NaN of no values. */
export function mean(values: readonly number[]): number {
  // Deviations from the first value first: scores that share leading digits lose none of the others.
  const [origin = Number.NaN] = values;
  return origin + values.reduce((sum, value) => sum + (value - origin), 0) / values.length;
}

/** A mean over seeds; `low` and `high` (Student t) are absent for a single seed, which has no interval. */
export interface MeanInterval {
  /** Number of seeds. */
  n: number;
  /** Arithmetic mean. */
  mean: number;
  /** Lower bound. */
  low?: number;
  /** Upper bound. */
  high?: number;
  /** Probability with which such an interval holds the true mean. */
  confidence: number;
}

/** A median of costs over seeds, with the two costs around it that cover the true median with probability `coverage`. */
export interface MedianInterval {
  /** Number of seeds. */
  n: number;
  /** Sample median; censored unless more than half of the seeds reached the target. */
  median: Cost;
  /** Lower bound, one of the costs. */
  low: Cost;
  /** Upper bound, one of the costs. */
  high: Cost;
  /** Exact probability that `low` to `high` holds the true median; 0 for a single seed. */
  coverage: number;
}

/**
 * P(|T| ≤ √ν · tan θ) of Student's t with ν degrees of freedom, by the finite sums that are exact for integer ν
 * (Abramowitz and Stegun 26.7.3 and 26.7.4): no incomplete beta function, no series to truncate, no resampling.
 */
function centralProbability(theta: number, degrees: number): number {
  const cosine = Math.cos(theta);
  const odd = degrees % 2 === 1;
  let term = odd ? cosine : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let power = odd ? 3 : 2; power <= degrees - 2; power += 2) {
    term *= ((power - 1) / power) * cosine * cosine;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (theta + Math.sin(theta) * sum) : Math.sin(theta) * sum;
}

/**
 * The two-sided quantile of Student's t: P(|T| ≤ t) = `confidence`, for a whole number of degrees of freedom ≥ 1.
 * Found by halving the angle θ = atan(t / √ν), in which the probability is monotone, until no double lies between.
 *
 * @throws InputError for degrees that are no whole number ≥ 1 or a confidence outside (0, 1)
 * @example studentQuantile(4, 0.95) // 2.776…
 */
export function studentQuantile(degrees: number, confidence = 0.95): number {
  if (!Number.isInteger(degrees) || degrees < 1) {
    throw new InputError(`degrees of freedom: expected a whole number of at least 1, got ${degrees}`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new InputError(`confidence: expected a number between 0 and 1, got ${confidence}`);
  }
  let low = 0;
  let high = Math.PI / 2;
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return Math.sqrt(degrees) * Math.tan(middle);
    if (centralProbability(middle, degrees) < confidence) low = middle;
    else high = middle;
  }
}

/**
 * The mean over seeds and its two-sided interval, mean ± t(n − 1) · s / √n.
 *
 * Seeds are few (3 to 10), so the interval is Student's, exact when the scores are normal; resampling three numbers
 * (the bootstrap) would give an interval that is far too short. With n = 1 there is no interval, and none is given.
 *
 * @param options - `within`: what a mean can be at all, such as 0 and 1 of a share; the interval is cut there.
 * @throws InputError when `values` is empty
 */
export function meanInterval(
  values: readonly number[],
  {
    confidence = 0.95,
    within = [-Infinity, Infinity],
  }: { confidence?: number; within?: readonly [number, number] } = {},
): MeanInterval {
  const n = values.length;
  if (n === 0) throw new InputError('mean over seeds: expected at least one value, got none');
  const center = mean(values);
  if (n === 1) return { n, mean: center, confidence };
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  const half = studentQuantile(n - 1, confidence) * Math.sqrt(squares / (n - 1) / n);
  const [least, most] = within;
  return { n, mean: center, low: Math.max(least, center - half), high: Math.min(most, center + half), confidence };
}

/**
 * The median of attack costs over seeds and an exact interval for it that censored costs cannot break.
 *
 * A mean of costs does not exist when a budget ran out; a median does, as long as fewer than half are censored. The
 * r-th smallest and r-th largest of n costs enclose the true median with probability 1 − 2 · P(Binomial(n, ½) < r),
 * whatever the distribution (the sign test). The largest r that reaches `confidence` is used; below six seeds none
 * reaches 95 %, the smallest and the largest cost are given, and `coverage` says how much that is worth (n = 3: 75 %).
 * A median between two costs of an even n is their mean, censored if either of them is.
 *
 * @throws InputError when `costs` is empty
 */
export function medianInterval(
  costs: readonly Cost[],
  { confidence = 0.95 }: { confidence?: number } = {},
): MedianInterval {
  const n = costs.length;
  if (n === 0) throw new InputError('median over seeds: expected at least one cost, got none');
  // All seeds share one budget, so a censored cost is larger than every cost that was reached.
  const sorted = costs.toSorted(
    (a, b) => Number(a.censored ?? false) - Number(b.censored ?? false) || a.steps - b.steps,
  );
  const [lower, upper] = [sorted[Math.ceil(n / 2) - 1], sorted[Math.floor(n / 2)]];
  const median: Cost = { steps: (lower.steps + upper.steps) / 2 };
  if (lower.censored || upper.censored) median.censored = true;

  let rank = 1;
  let probability = 0.5 ** n;
  let tail = probability;
  while (rank + 1 <= n / 2) {
    probability *= (n - rank + 1) / rank;
    if (1 - 2 * (tail + probability) < confidence) break;
    tail += probability;
    rank += 1;
  }
  const coverage = n === 1 ? 0 : 1 - 2 * tail;
  return { n, median, low: sorted[rank - 1], high: sorted[n - rank], coverage };
}

/** A ratio of two means with its interval; without bounds where the denominator cannot be told from 0. */
export interface RatioInterval {
  /** Number of pairs. */
  n: number;
  /** Ratio of the means. */
  ratio: number;
  /** Lower bound. */
  low?: number;
  /** Upper bound. */
  high?: number;
  /** Probability with which such an interval holds the true ratio. */
  confidence: number;
}

/**
 * The ratio of the means of paired values and Fieller's interval for it: all ratios r for which the mean of
 * `numerator − r · denominator` cannot be told from 0 by Student's t. Exact for normal pairs, also when they are
 * correlated; where the denominator's mean itself cannot be told from 0 the set has no bounds, and none are given.
 *
 * @throws InputError when there are no pairs, or not as many of one as of the other.
 * @see Fieller, "Some Problems in Interval Estimation", JRSS B 16 (1954).
 */
export function ratioInterval(
  numerator: readonly number[],
  denominator: readonly number[],
  { confidence = 0.95 }: { confidence?: number } = {},
): RatioInterval {
  const n = numerator.length;
  if (n === 0 || denominator.length !== n) {
    throw new InputError(`ratio over seeds: expected pairs, got ${n} and ${denominator.length} values`);
  }
  const [a, b] = [mean(numerator), mean(denominator)];
  const result = { n, ratio: a / b, confidence };
  if (n === 1) return result;
  const t = studentQuantile(n - 1, confidence);
  const scaled = (x: readonly number[], mx: number, y: readonly number[], my: number) =>
    (t * t * x.reduce((sum, value, index) => sum + (value - mx) * (y[index] - my), 0)) / (n - 1) / n;
  // Roots of r²·(b² − t²s_bb) − 2r·(ab − t²s_ab) + (a² − t²s_aa) = 0.
  const quadratic = b * b - scaled(denominator, b, denominator, b);
  const middle = a * b - scaled(numerator, a, denominator, b);
  const constant = a * a - scaled(numerator, a, numerator, a);
  if (!(quadratic > 0)) return result;
  const root = Math.sqrt(Math.max(middle * middle - quadratic * constant, 0));
  return { ...result, low: (middle - root) / quadratic, high: (middle + root) / quadratic };
}

/** The two-sided 95 % quantile of the normal distribution. */
export const normalQuantile = 1.959963984540054;

/** A difference of two shares of the same examples, with its 95 % interval. */
export interface ShareDifference {
  /** The share that was gained, negative where more was lost. */
  difference: number;
  /** Lower bound. */
  low: number;
  /** Upper bound. */
  high: number;
}

/**
 * How a share of n examples changed, by how many of them came and went: with half an example more in each of the four cells, so that the
 * interval has a width where nothing changed.
 *
 * @param gained - Examples that count after and did not before.
 * @param lost - Those that counted before and do not after.
 * @throws InputError when there are no examples, or more changed than there are.
 * @see Agresti and Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine 24 (2005).
 */
export function pairedShareDifference(gained: number, lost: number, n: number): ShareDifference {
  if (!(n > 0 && gained >= 0 && lost >= 0 && gained + lost <= n)) {
    throw new InputError(
      `difference of shares: expected at most all of some examples, got ${gained} and ${lost} of ${n}`,
    );
  }
  const all = n + 2;
  const center = (gained - lost) / all;
  const half = (normalQuantile * Math.sqrt(gained + lost + 1 - all * center * center)) / all;
  return { difference: (gained - lost) / n, low: center - half, high: center + half };
}
