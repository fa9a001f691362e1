import type { Cost, MeanInterval, MedianInterval } from '../../linalg/index.js';

/** What stands where a number is missing. */
export const MISSING = '–';

/** From here on digits before the point would be zeros that nobody counted: a double holds 15 to 17. */
const LARGEST_PLAIN = 1e15;

function fixed(value: number, digits: number): string {
  const text = Math.abs(value).toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  // A rounded zero carries no sign: "−0.0" would read as a measured loss.
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

/** `1.0e−40`: for what as many digits behind the point would show as zero, and for what has no digits to show. */
function scientific(value: number, digits: number): string {
  const text = Math.abs(value).toExponential(digits).replace('e-', 'e−').replace('e+', 'e');
  return value < 0 ? `−${text}` : text;
}

/**
 * A plain number with thousands separators, rounded, so that a difference of nothing reads as 0. `MISSING` for `undefined`
 * and NaN, ∞ for an infinite number.
 *
 * @example decimal(1234.5) // "1,234.5"
 */
export function decimal(value: number | undefined, digits = 1): string {
  if (value === undefined || Number.isNaN(value)) return MISSING;
  const size = Math.abs(value);
  if (size === Number.POSITIVE_INFINITY) return value > 0 ? '∞' : '−∞';
  return size >= LARGEST_PLAIN ? scientific(value, digits) : fixed(value, digits);
}

/**
 * As {@link decimal}, but with an exponent where rounding would make a zero of it: for what has a scale and is no
 * difference, such as a singular value, a norm, a loss.
 *
 * @example magnitude(1e-40, 2) // "1.00e−40"
 */
export function magnitude(value: number | undefined, digits = 2): string {
  const size = Math.abs(value ?? 0);
  return value !== undefined && size > 0 && size < 0.5 * 10 ** -digits
    ? scientific(value, digits)
    : decimal(value, digits);
}

/**
 * A fraction as a percentage, `MISSING` where it is none (0 of 0 examples). A small share rounds to 0.
 *
 * @example percent(0.9876) // "98.8 %"
 */
export function percent(fraction: number | undefined, digits = 1): string {
  return fraction === undefined || !Number.isFinite(fraction) ? MISSING : `${fixed(fraction * 100, digits)} %`;
}

/**
 * A number of steps, or anything else that is counted.
 *
 * @example steps(12345) // "12,345"
 */
export function steps(count: number | undefined): string {
  return decimal(count, 0);
}

/**
 * A factor with two significant digits, or all of its integer digits; `MISSING` where there is none (a multiple of 0).
 *
 * @example ratio(3.21) // "3.2×"
 */
export function ratio(factor: number | undefined): string {
  if (factor === undefined || !Number.isFinite(factor)) return MISSING;
  const size = Math.abs(factor);
  // The limits are where rounding would add a digit: 9.96 is "10×", not "10.0×".
  if (size > 0 && (size < 0.095 || size >= LARGEST_PLAIN)) return `${scientific(factor, 1)}×`;
  return `${fixed(factor, size >= 9.95 ? 0 : size >= 0.995 ? 1 : 2)}×`;
}

/**
 * A cost in steps; a censored one says only what it exceeds.
 *
 * @example cost({ steps: 300, censored: true }) // "> 300"
 */
export function cost(value: Cost | undefined): string {
  if (value === undefined) return MISSING;
  return value.censored ? `> ${steps(value.steps)}` : steps(value.steps);
}

/**
 * The slowdown, locked ÷ unlocked. A censored locked cost makes it a lower bound ("> 6.3×"), a censored unlocked one an
 * upper bound; where both ran out of budget nothing is known and it is `MISSING`.
 */
export function slowdown(locked: Cost | undefined, unlocked: Cost | undefined): string {
  if (locked === undefined || unlocked === undefined || unlocked.steps === 0) return MISSING;
  if (locked.censored && unlocked.censored) return MISSING;
  const sign = locked.censored ? '> ' : unlocked.censored ? '< ' : '';
  return sign + ratio(locked.steps / unlocked.steps);
}

/**
 * Two bounds.
 *
 * @example interval(2.1, 4.4) // "2.1 to 4.4"
 */
export function interval(
  low: number | undefined,
  high: number | undefined,
  format: (value: number) => string = decimal,
): string {
  return low === undefined || high === undefined ? MISSING : `${format(low)} to ${format(high)}`;
}

/**
 * A mean with its interval and the number of seeds.
 *
 * @example formatMean(meanInterval([0.94, 0.96, 0.95]), percent) // "95.0 % (92.5 % to 97.5 %, n = 3)"
 */
export function formatMean(value: MeanInterval, format: (value: number) => string = decimal): string {
  const range = value.low === undefined ? '' : `${interval(value.low, value.high, format)}, `;
  return `${format(value.mean)} (${range}n = ${value.n})`;
}

/**
 * A median cost with the costs around it and the number of seeds.
 *
 * @example formatMedian(medianInterval([{ steps: 40 }, { steps: 48 }, { steps: 60 }])) // "48 (40 to 60, n = 3)"
 */
export function formatMedian(value: MedianInterval): string {
  const range = value.n === 1 ? '' : `${cost(value.low)} to ${cost(value.high)}, `;
  return `${cost(value.median)} (${range}n = ${value.n})`;
}

/**
 * A number of things, in the singular for one.
 *
 * @example count(1, 'seed') // "1 seed"
 */
export function count(n: number, what: string, plural = `${what}s`): string {
  return `${steps(n)} ${n === 1 ? what : plural}`;
}
