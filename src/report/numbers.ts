import type { Cost, MeanInterval, MedianInterval } from '../linalg/index.js';

/** What stands where a number is missing. */
export const MISSING = '–';

function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  const text = Math.abs(value).toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  // A rounded zero carries no sign: "−0.0" would read as a measured loss.
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

/**
 * A plain number with thousands separators, `MISSING` for `undefined`; NaN and infinities are shown, not hidden.
 *
 * @example decimal(1234.5) // "1,234.5"
 */
export function decimal(value: number | undefined, digits = 1): string {
  return value === undefined ? MISSING : fixed(value, digits);
}

/**
 * A fraction as a percentage.
 *
 * @example percent(0.9876) // "98.8 %"
 */
export function percent(fraction: number | undefined, digits = 1): string {
  return fraction === undefined ? MISSING : `${fixed(fraction * 100, digits)} %`;
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
 * A factor with two significant digits, or all of its integer digits.
 *
 * @example ratio(3.21) // "3.2×"
 */
export function ratio(factor: number | undefined): string {
  if (factor === undefined) return MISSING;
  const size = Math.abs(factor);
  // The limits are where rounding would add a digit: 9.96 is "10×", not "10.0×".
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
