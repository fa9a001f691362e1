import type { LossSurface } from './surface.js';

/** How weights are moved by a gradient: gradient descent with or without momentum, or AdamW with PyTorch's constants. */
export interface Method {
  /** Default gradient descent. */
  readonly optimizer?: 'sgd' | 'adamw';
  /** Momentum β of `b = β b + g`, `θ − rate · b`, of gradient descent; default 0. */
  readonly momentum?: number;
}

/** How a loss is descended. */
export interface Descent extends Method {
  /** Learning rate. */
  readonly rate: number;
}

/** When a run is at its end. */
export interface Goal {
  /** Loss at which it has arrived. */
  readonly target: number;
  /** Steps at most. */
  readonly budget: number;
}

/** Constants of AdamW, as PyTorch has them by default. */
export const adamConstants = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 } as const;

/** Moves a point by the gradient there, in place. */
export type Mover = (point: Float64Array, gradient: Float64Array, rate: number) => void;

/** A method from its start, in float64 (that of `training` are in float32). */
export function moverOf({ optimizer = 'sgd', momentum = 0 }: Method, size: number): Mover {
  const first = new Float64Array(size);
  if (optimizer === 'sgd') {
    return (point, gradient, rate) => {
      for (let i = 0; i < size; i++) {
        first[i] = momentum * first[i] + gradient[i];
        point[i] -= rate * first[i];
      }
    };
  }
  const { beta1, beta2, eps, weightDecay } = adamConstants;
  const second = new Float64Array(size);
  let step = 0;
  return (point, gradient, rate) => {
    step++;
    const [ofFirst, ofSecond] = [1 - beta1 ** step, 1 - beta2 ** step];
    for (let i = 0; i < size; i++) {
      first[i] = beta1 * first[i] + (1 - beta1) * gradient[i];
      second[i] = beta2 * second[i] + (1 - beta2) * gradient[i] * gradient[i];
      const move = first[i] / ofFirst / (Math.sqrt(second[i] / ofSecond) + eps);
      point[i] = point[i] * (1 - rate * weightDecay) - rate * move;
    }
  };
}

/** What a run of {@link measuredSteps} came to. */
export interface MeasuredDescent {
  /** Steps to the target; none: not within the budget. */
  readonly steps?: number;
  /** Loss at the start. */
  readonly first: number;
  /** Loss at the end. */
  readonly last: number;
  /** The highest loss on the way. */
  readonly highest: number;
  /** The first step that left the loss higher than the one before had; none: it always fell. */
  readonly rose?: number;
}

/** Descends a loss on all of a surface's data. */
export async function measuredSteps(
  surface: LossSurface,
  start: Float64Array,
  { rate, ...method }: Descent,
  { target, budget }: Goal,
  { signal, stopWhen }: { signal?: AbortSignal; stopWhen?: (run: MeasuredDescent) => boolean } = {},
): Promise<MeasuredDescent> {
  const point = Float64Array.from(start);
  const move = moverOf(method, point.length);
  let [first, last, highest] = [Number.NaN, Number.NaN, 0];
  let rose: number | undefined;
  for (let step = 0; ; step++) {
    signal?.throwIfAborted();
    const { loss, gradient } = await surface.evaluate(point);
    if (step === 0) first = loss;
    // Sums are rounded: what has arrived does not rise.
    else if (rose === undefined && !(loss <= last * (1 + 1e-9))) rose = step;
    last = loss;
    highest = Math.max(highest, loss);
    const run = { first, last, highest, ...(rose !== undefined && { rose }) };
    if (loss <= target) return { steps: step, ...run };
    if (step === budget || !(loss < 1e6 * (1 + first)) || stopWhen?.(run)) return run;
    move(point, gradient, rate);
  }
}

/** Steps of a run that shows whether a learning rate is stable. */
export const stabilitySteps = 50;

/** Rates that are tried upwards, each this many times the one before. */
const stride = Math.SQRT2;

/**
 * The largest learning rate at which descent is stable, measured, as the end of the stable rates that begin with small ones:
 * descent is stable where each of some steps lowers the loss. With momentum, under which losses swing, no step may raise it
 * above the start. (AdamW has a momentum as well, but that a loss stays below its start says nothing of it: rates at which its first
 * step, of one length for all weights, throws a network where it computes nothing pass.)
 *
 * Larger rates may be stable again: a step that is far too long can throw a network where its gradients are small.
 *
 * @param options - `guess`: what rates are tried around. `steps`: of each run; a limit shows the later the nearer it is.
 * @returns Within 2 %, from below; 0 where not even a millionth of the guess is stable.
 */
export async function measuredStableRate(
  surface: LossSurface,
  point: Float64Array,
  {
    guess,
    steps = stabilitySteps,
    signal,
    ...method
  }: Method & { guess: number; steps?: number; signal?: AbortSignal },
): Promise<number> {
  const swings = method.optimizer !== 'adamw' && (method.momentum ?? 0) > 0;
  const isBroken = ({ rose, highest, first }: MeasuredDescent) =>
    swings ? !(highest <= first * (1 + 1e-9)) : rose !== undefined;
  const isStable = async (rate: number) => {
    const goal = { target: Number.NEGATIVE_INFINITY, budget: steps };
    return !isBroken(await measuredSteps(surface, point, { rate, ...method }, goal, { signal, stopWhen: isBroken }));
  };
  let low = guess / 4;
  while (!(await isStable(low))) {
    low /= 4;
    if (low < guess * 1e-6) return 0;
  }
  let high = low * stride;
  // A loss that can be lowered by nothing is not raised by anything either.
  while (high < guess * 1e6 && (await isStable(high))) {
    low = high;
    high *= stride;
  }
  while (high / low > 1.02) {
    const middle = Math.sqrt(low * high);
    if (await isStable(middle)) low = middle;
    else high = middle;
  }
  return low;
}
