import { RandomStream, svd } from '../linalg/index.js';
import { InputError } from '../registry/index.js';

/** A convex quadratic `½ (θ − θ*)ᵀ H (θ − θ*)` with θ* = 0. */
export interface Quadratic {
  /** Length of θ. */
  readonly size: number;
  /** H, `[n, n]`, symmetric. */
  readonly hessian: Float64Array;
  /** Least eigenvalue of H. */
  readonly least: number;
  /** Largest eigenvalue of H. */
  readonly largest: number;
  /** Where all methods start, standard normal. */
  readonly start: Float64Array;
}

/**
 * Least squares on Gaussian features: `H = Xᵀ X`, X `[2n, n]` standard normal, whose spectrum is stretched (on a logarithmic
 * scale, its eigenvectors kept) so that the least eigenvalue is 1 and the largest κ.
 *
 * @param kappa - Condition number, from 1.
 */
export function gaussianQuadratic(kappa: number, { size = 20, seed = 1 } = {}): Quadratic {
  if (!(kappa >= 1 && kappa < Number.POSITIVE_INFINITY)) {
    throw new InputError(`quadratic: expected a condition number from 1, got ${kappa}`);
  }
  const features = new RandomStream(seed, 'quadratic features');
  const x = Float64Array.from({ length: 2 * size * size }, () => features.normal());
  const { sigma, v } = svd(x, 2 * size, size);
  const logs = Array.from(sigma, (value) => 2 * Math.log(value));
  const [high, low] = [logs[0], logs[size - 1]];
  const values = logs.map((log) => (size === 1 ? kappa : kappa ** ((log - low) / (high - low))));
  const hessian = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < size; k++) sum += v[i * size + k] * values[k] * v[j * size + k];
      hessian[i * size + j] = sum;
      hessian[j * size + i] = sum;
    }
  }
  const origin = new RandomStream(seed, 'quadratic start');
  const start = Float64Array.from({ length: size }, () => origin.normal());
  return { size, hessian, least: 1, largest: kappa, start };
}

/** A first-order method on a quadratic: the next point, in place of the last one. */
export type QuadraticMethod = (gradient: Float64Array, theta: Float64Array) => void;

/** Methods of Figure 1, with what theory says of them. */
export interface MethodEntry {
  /** What it is called. */
  readonly name: string;
  /** A fresh run of it, at a learning rate. */
  create(rate: number, size: number): QuadraticMethod;
  /** The learning rate at which it is run, for eigenvalues from μ to L; none where it has to be searched. */
  rate?(least: number, largest: number): number;
  /** The learning rate beyond which it diverges; none where there is no such rate. */
  limit?(least: number, largest: number): number;
  /** By what the distance to the minimum shrinks in a step in the long run; none where theory gives none. */
  contraction?(kappa: number): number;
}

/** `θ − rate · g`. */
function descent(rate: number): QuadraticMethod {
  return (gradient, theta) => {
    for (let i = 0; i < theta.length; i++) theta[i] -= rate * gradient[i];
  };
}

/** Momentum `((√κ − 1) / (√κ + 1))²` of the heavy ball with the best rate. */
const heavyBallMomentum = (kappa: number) => ((Math.sqrt(kappa) - 1) / (Math.sqrt(kappa) + 1)) ** 2;
/** Momentum `(√(3κ + 1) − 2) / (√(3κ + 1) + 2)` of Nesterov's method with the best rate. */
const nesterovMomentum = (kappa: number) => (Math.sqrt(3 * kappa + 1) - 2) / (Math.sqrt(3 * kappa + 1) + 2);

/** Polyak's heavy ball: `v = β v − rate · g`, `θ + v`. */
function heavyBall(rate: number, size: number, momentum: number): QuadraticMethod {
  const velocity = new Float64Array(size);
  return (gradient, theta) => {
    for (let i = 0; i < size; i++) {
      velocity[i] = momentum * velocity[i] - rate * gradient[i];
      theta[i] += velocity[i];
    }
  };
}

/** Nesterov's method; θ is the point at which the gradient is taken: `x = θ − rate · g`, `θ = x + β (x − x before)`. */
function nesterov(rate: number, size: number, momentum: number): QuadraticMethod {
  let before: Float64Array | undefined;
  return (gradient, theta) => {
    const last = before ?? Float64Array.from(theta);
    before = last;
    for (let i = 0; i < size; i++) {
      const x = theta[i] - rate * gradient[i];
      theta[i] = x + momentum * (x - last[i]);
      last[i] = x;
    }
  };
}

/** Adam with its usual β₁ 0.9, β₂ 0.999 and ε 1e-8, in float64. */
function adam(rate: number, size: number): QuadraticMethod {
  const [m, v] = [new Float64Array(size), new Float64Array(size)];
  let [keep1, keep2] = [1, 1];
  return (gradient, theta) => {
    keep1 *= 0.9;
    keep2 *= 0.999;
    for (let i = 0; i < size; i++) {
      m[i] = 0.9 * m[i] + 0.1 * gradient[i];
      v[i] = 0.999 * v[i] + 0.001 * gradient[i] ** 2;
      theta[i] -= (rate * m[i]) / (1 - keep1) / (Math.sqrt(v[i] / (1 - keep2)) + 1e-8);
    }
  };
}

/**
 * The methods of Figure 1. The momenta are those for the κ at hand. Beyond its limit a method diverges: gradient descent
 * beyond 2 / L, the heavy ball beyond 2 (1 + β) / L, Nesterov's beyond (2 + 2β) / ((1 + 2β) L).
 *
 * @see Polyak 1964; Lessard, Recht and Packard, "Analysis and Design of Optimization Algorithms via Integral Quadratic
 *   Constraints", SIAM J. Optim. 2016, table 1, for the rates of all three on quadratics.
 */
export function quadraticMethods(kappa: number): readonly MethodEntry[] {
  const [ball, look] = [heavyBallMomentum(kappa), nesterovMomentum(kappa)];
  return [
    {
      name: 'gradient descent',
      create: descent,
      // 2 / (L + μ): within 1 part of κ + 1 of the limit, where the fastest mode would never settle.
      rate: (least, largest) => 2 / (largest + least),
      limit: (_, largest) => 2 / largest,
      contraction: (k) => (k - 1) / (k + 1),
    },
    {
      name: 'heavy ball',
      create: (rate, size) => heavyBall(rate, size, ball),
      rate: (least, largest) => 4 / (Math.sqrt(largest) + Math.sqrt(least)) ** 2,
      limit: (_, largest) => (2 * (1 + ball)) / largest,
      contraction: (k) => (Math.sqrt(k) - 1) / (Math.sqrt(k) + 1),
    },
    {
      name: 'Nesterov',
      create: (rate, size) => nesterov(rate, size, look),
      rate: (least, largest) => 4 / (3 * largest + least),
      limit: (_, largest) => (2 + 2 * look) / ((1 + 2 * look) * largest),
      contraction: (k) => 1 - 2 / Math.sqrt(3 * k + 1),
    },
    { name: 'Adam', create: adam },
  ];
}

/** How a run ended. */
export interface QuadraticRun {
  /** Steps until the distance was at most the tolerance; none where it was not reached. */
  readonly steps?: number;
  /** Whether it was more than a million times as far away as at its start. */
  readonly diverged: boolean;
}

/**
 * Runs a method until its distance to the minimum is a share of what it was.
 *
 * @param options - `tolerance`: that share; `budget`: steps at most.
 */
export function minimize(
  { size, hessian, start }: Quadratic,
  method: QuadraticMethod,
  { tolerance, budget }: { tolerance: number; budget: number },
): QuadraticRun {
  const theta = Float64Array.from(start);
  const gradient = new Float64Array(size);
  const length = (vector: Float64Array) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  const first = length(start);
  for (let step = 1; step <= budget; step++) {
    for (let i = 0, at = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j < size; j++, at++) sum += hessian[at] * theta[j];
      gradient[i] = sum;
    }
    method(gradient, theta);
    let squares = 0;
    for (let i = 0; i < size; i++) squares += theta[i] * theta[i];
    const distance = Math.sqrt(squares) / first;
    if (distance <= tolerance) return { steps: step, diverged: false };
    if (!(distance < 1e6)) return { diverged: true };
  }
  return { diverged: false };
}

/** Steps that a contraction takes to shrink a distance to a share of it. */
export function stepsAt(contraction: number, tolerance: number): number {
  return contraction <= 0 ? 1 : Math.max(1, Math.log(tolerance) / Math.log(contraction));
}

/**
 * The largest learning rate at which a method does not diverge within a budget, by halving between one that does not and
 * one that does: to 2^-14 of the ratio between them, on a logarithmic scale.
 */
export function largestStableRate(
  quadratic: Quadratic,
  create: (rate: number) => QuadraticMethod,
  { low, high, budget }: { low: number; high: number; budget: number },
): number {
  let [stable, unstable] = [low, high];
  for (let halving = 0; halving < 14; halving++) {
    const middle = Math.sqrt(stable * unstable);
    const { diverged } = minimize(quadratic, create(middle), { tolerance: 0, budget });
    if (diverged) unstable = middle;
    else stable = middle;
  }
  return stable;
}
