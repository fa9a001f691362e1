import { symmetricEigen } from '../../src/linalg/index.js';
import {
  adamConstants,
  exactCurvature,
  type Figure2Name,
  figure2Data,
  figure2Networks,
  figure2Surface,
  figure2Weights,
  type LossSurface,
} from '../../src/theory/index.js';

const { beta1, beta2, eps } = adamConstants;

/** Where Adam is: a point, both moments and the number of steps that they hold. */
interface State {
  readonly point: Float64Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
  readonly step: number;
}

/** Steps of Adam from a state, the second moment following the gradient or as it is; ends where the loss is beyond all bounds. */
async function moved(
  surface: LossSurface,
  from: State,
  { rate, steps, isHeld = false }: { rate: number; steps: number; isHeld?: boolean },
): Promise<{ state: State; losses: number[] }> {
  const [point, first, second] = [from.point, from.first, from.second].map((values) => values.slice());
  const losses: number[] = [];
  let { step } = from;
  for (let index = 0; index <= steps; index++) {
    const { loss, gradient } = await surface.evaluate(point);
    losses.push(loss);
    if (!(loss < 1e6) || index === steps) break;
    step++;
    // What is held is the second moment as it was corrected then.
    const corrected = 1 - beta2 ** (isHeld ? from.step : step);
    for (let i = 0; i < point.length; i++) {
      first[i] = beta1 * first[i] + (1 - beta1) * gradient[i];
      if (!isHeld) second[i] = beta2 * second[i] + (1 - beta2) * gradient[i] ** 2;
      point[i] -= (rate * (first[i] / (1 - beta1 ** step))) / (Math.sqrt(second[i] / corrected) + eps);
    }
  }
  return { state: { point, first, second, step }, losses };
}

/** `38 / λ_max(P^-½ H P^-½)` at a point. */
async function limitBy(surface: LossSurface, point: Float64Array, p: Float64Array): Promise<number> {
  const { values, size } = await exactCurvature(surface, point);
  const scaled = values.map((value, at) => value / Math.sqrt((p[Math.floor(at / size)] + eps) * (p[at % size] + eps)));
  return (2 * (1 + beta1)) / (1 - beta1) / symmetricEigen(scaled, size).values[size - 1];
}

/** The end of the rates that are stable from small ones up, to 5 %: the loss of 200 steps is never 5 % above the first. */
async function measuredLimit(surface: LossSurface, from: State, guess: number, isHeld: boolean): Promise<number> {
  const isStable = async (rate: number) => {
    const { losses } = await moved(surface, from, { rate, steps: 200, isHeld });
    return Math.max(...losses) <= 1.05 * losses[0];
  };
  let low = guess / 64;
  if (!(await isStable(low))) return 0;
  while (low < 64 * guess && (await isStable(2 * low))) low *= 2;
  let high = 2 * low;
  while (high / low > 1.05) {
    const middle = Math.sqrt(low * high);
    if (await isStable(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The largest stable rate of Adam over 38 / λ_max(P^-½ H P^-½), measured on a network of Figure 2 (seed 1, all examples, float64)
 * after so many steps at 1e-3, P the root of the second moment: `held` as it is then, `live` as Adam goes on, `cold` from moments of 0
 * at the same point, where P is |g|, as a prediction from a model alone has it.
 */
export async function adamLimits(name: Figure2Name, steps: number) {
  const network = figure2Networks[name];
  const surface = figure2Surface(network, figure2Data(network, 1));
  try {
    const zero = () => new Float64Array(surface.size);
    const fresh = (point: Float64Array): State => ({ point, first: zero(), second: zero(), step: 0 });
    const start = fresh(surface.pointOf(figure2Weights(network, 1)));
    const { state } = await moved(surface, start, { rate: 1e-3, steps });
    const root = state.second.map((value) => Math.sqrt(value / (1 - beta2 ** state.step)));
    const settled = await limitBy(surface, state.point, root);
    const { gradient } = await surface.evaluate(state.point);
    const alone = await limitBy(surface, state.point, gradient.map(Math.abs));
    return {
      held: (await measuredLimit(surface, state, settled, true)) / settled,
      live: (await measuredLimit(surface, state, settled, false)) / settled,
      cold: (await measuredLimit(surface, fresh(state.point), alone, false)) / alone,
    };
  } finally {
    await surface.release();
  }
}
