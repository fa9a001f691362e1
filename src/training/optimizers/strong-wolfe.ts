/** The loss along a line, at one step length. */
export interface LinePoint {
  /** Step length. */
  readonly t: number;
  /** Loss there. */
  readonly loss: number;
  /** Derivative of the loss by t. */
  readonly slope: number;
  /** Gradient there, an array of its own. */
  readonly gradient: Float64Array;
}

/** Sufficient decrease and curvature: the usual c₁ and c₂ of quasi-Newton methods. */
const c1 = 1e-4;
const c2 = 0.9;
/** A bracket that moves no parameter by more is not searched further. */
const smallestMove = 1e-9;

/**
 * A step length that fulfils the strong Wolfe conditions, where one is found:
 *
 *     loss(t) ≤ loss(0) + c₁ t slope(0)   and   |slope(t)| ≤ c₂ |slope(0)|
 *
 * First the step grows until a bracket is sure to hold such a length, then cubic interpolation narrows the bracket. Asks
 * for the same step lengths as PyTorch's line search.
 *
 * @param at - Measures the line at a step length.
 * @param start - The line at 0.
 * @param t - First step length.
 * @param options - `longest`: largest element of the direction; `limit`: evaluations after the first at most.
 * @returns The best point, and how often `at` was asked.
 * @see Nocedal and Wright, "Numerical Optimization", algorithms 3.5 and 3.6.
 */
export async function strongWolfe(
  at: (t: number) => Promise<LinePoint>,
  start: LinePoint,
  t: number,
  { longest, limit }: { longest: number; limit: number },
): Promise<{ point: LinePoint; evaluations: number }> {
  const tooHigh = (point: LinePoint) => point.loss > start.loss + c1 * point.t * start.slope;
  const isFlat = (point: LinePoint) => Math.abs(point.slope) <= -c2 * start.slope;
  let rounds = 0;
  let previous = start;
  let current = await at(t);
  let bracket: [LinePoint, LinePoint] | undefined;
  while (rounds < limit && !bracket) {
    if (tooHigh(current) || (rounds > 1 && current.loss >= previous.loss)) bracket = [previous, current];
    else if (isFlat(current)) return { point: current, evaluations: rounds + 1 };
    else if (current.slope >= 0) bracket = [previous, current];
    else {
      const least = current.t + 0.01 * (current.t - previous.t);
      const next = interpolated(previous, current, least, current.t * 10);
      previous = current;
      current = await at(next);
      rounds++;
    }
  }
  let [low, high] = ordered(bracket ?? [start, current]);
  let lastWasNearEdge = false;
  while (rounds < limit && !(Math.abs(high.t - low.t) * longest < smallestMove)) {
    const [left, right] = [Math.min(low.t, high.t), Math.max(low.t, high.t)];
    let next = interpolated(low, high, left, right);
    // A length near an edge of the bracket narrows it little: once is allowed, then a tenth inside is taken.
    const margin = 0.1 * (right - left);
    const nearEdge: boolean = Math.min(right - next, next - left) < margin;
    const moveInside: boolean = nearEdge && (lastWasNearEdge || next >= right || next <= left);
    if (moveInside) next = Math.abs(next - right) < Math.abs(next - left) ? right - margin : left + margin;
    lastWasNearEdge = nearEdge && !moveInside;

    current = await at(next);
    rounds++;
    if (tooHigh(current) || current.loss >= low.loss) {
      [low, high] = ordered([low, current]);
      continue;
    }
    const isDone = isFlat(current);
    if (!isDone && current.slope * (high.t - low.t) >= 0) high = low;
    low = current;
    if (isDone) break;
  }
  return { point: low, evaluations: rounds + 1 };
}

/** The lower of two points first; the first of equal ones. */
function ordered([a, b]: readonly [LinePoint, LinePoint]): [LinePoint, LinePoint] {
  return a.loss <= b.loss ? [a, b] : [b, a];
}

/** The minimum of the cubic through two points and their slopes, within bounds; their middle where there is none. */
function interpolated(a: LinePoint, b: LinePoint, lowest: number, highest: number): number {
  const [x, y] = a.t <= b.t ? [a, b] : [b, a];
  const mean = x.slope + y.slope - (3 * (x.loss - y.loss)) / (x.t - y.t);
  const square = mean ** 2 - x.slope * y.slope;
  if (!(square >= 0)) return (lowest + highest) / 2;
  const root = Math.sqrt(square);
  const best = y.t - (y.t - x.t) * ((y.slope + root - mean) / (y.slope - x.slope + 2 * root));
  return Math.min(Math.max(best, lowest), highest);
}
