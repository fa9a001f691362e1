import { z } from 'zod';
import { parseOptions } from '../../registry/index.js';
import {
  beginUpdate,
  fullSlot,
  type Optimizer,
  type OptimizerEntry,
  type OptimizerState,
  type ParameterSet,
  parameterFor,
  requireOracle,
  type StepOracle,
  slotFor,
} from './optimizer.js';
import { type LinePoint, strongWolfe } from './strong-wolfe.js';

const lbfgsOptions = z.strictObject({
  maxIterations: z.int().min(1).default(20).describe('iterations a step, all on its batch'),
  maxEvaluations: z.int().min(0).default(0).describe('evaluations a step at most; 0: 5/4 of the iterations'),
  toleranceGradient: z.number().min(0).default(1e-7).describe('a gradient without a larger element ends the step'),
  toleranceChange: z.number().min(0).default(1e-9).describe('a smaller change of loss or parameters ends the step'),
  historySize: z.int().min(1).default(100).describe('pairs of differences that are kept'),
  lineSearch: z
    .enum(['none', 'strong-wolfe'])
    .default('none')
    .describe('how the length of a move is found; none: it is the learning rate'),
});

/** A pair of differences counts only where `y · s` is larger. */
const leastCurvature = 1e-10;

/**
 * L-BFGS: moves along `−H g` with an inverse Hessian H built from the last differences of gradients and parameters. A step
 * does several iterations on its batch; the differences go on from batch to batch.
 *
 *     s = last move,  y = g − last g            (a pair is kept where y · s > 1e-10)
 *     d = −H g                                  (two-loop recursion, H₀ = y · s / y · y)
 *     p = p + t d                               (t = lr, at the very first min(1, 1 / Σ|g|) lr, or from a line search)
 *
 * Follows torch.optim.LBFGS, its default of a fixed length included. Slots: `prev_flat_grad`, `last_step` (t d),
 * `old_dirs` (y) and `old_stps` (s), both `historySize` times as long as the parameter, `curvature` (the parameter's part
 * of each y · s); scalars `n_iter`, `pairs`, `h_diag`.
 *
 * @param options - `maxIterations` 20, `maxEvaluations` 0, `toleranceGradient` 1e-7, `toleranceChange` 1e-9,
 * `historySize` 100, `lineSearch` none.
 * @throws InputError when the options do not fit.
 * @example lbfgs({ historySize: 10, lineSearch: 'strong-wolfe' })
 * @see Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989.
 */
export function lbfgs(options: z.input<typeof lbfgsOptions> = {}): Optimizer {
  const parsed = parseOptions(lbfgsOptions, options, 'lbfgs');
  const { maxIterations, toleranceGradient, toleranceChange, historySize, lineSearch } = parsed;
  const maxEvaluations = parsed.maxEvaluations || Math.floor((maxIterations * 5) / 4);
  return {
    name: 'lbfgs',
    needs: ['evaluate'],
    init: (params) => ({
      step: 0,
      slots: {
        prev_flat_grad: fullSlot(params),
        last_step: fullSlot(params),
        old_dirs: longSlot(params, historySize),
        old_stps: longSlot(params, historySize),
        curvature: new Map(Array.from(params.keys(), (name) => [name, new Float32Array(historySize)])),
      },
      scalars: { n_iter: 0, pairs: 0, h_diag: 1 },
    }),
    async update(grads, state, params, learningRate, oracle) {
      beginUpdate(state, learningRate);
      const line = new Line(params, grads, requireOracle(oracle, 'lbfgs'));
      const memory = new Memory(state, line.parts, historySize);
      let { loss } = line.oracle;
      let gradient = line.flat(grads);
      let evaluations = 1;
      if (largestOf(gradient) <= toleranceGradient) return;

      for (let iteration = 1; ; iteration++) {
        const isFirst = memory.iterations === 0;
        const direction = memory.direction(gradient);
        const before = loss;
        const slope = dot(gradient, direction);
        let t = isFirst
          ? Math.min(1, 1 / gradient.reduce((sum, g) => sum + Math.abs(g), 0)) * learningRate
          : learningRate;
        const isDescent = !(slope > -toleranceChange);
        const previous = gradient;
        const isLast = iteration === maxIterations;
        if (isDescent && lineSearch === 'strong-wolfe') {
          const start = line.position;
          const found = await strongWolfe(
            (length) => line.measure(start, direction, length),
            { t: 0, loss, slope, gradient },
            t,
            { longest: largestOf(direction), limit: maxEvaluations - evaluations },
          );
          ({ t, loss, gradient } = found.point);
          evaluations += found.evaluations;
          line.move(start, direction, t);
        } else if (isDescent) {
          line.move(line.position, direction, t);
          if (!isLast) {
            const next = await line.oracle.evaluate();
            loss = next.loss;
            gradient = line.flat(next.gradients);
            evaluations++;
          }
        }
        memory.remember(previous, direction, t);
        if (
          !isDescent ||
          isLast ||
          evaluations >= maxEvaluations ||
          largestOf(gradient) <= toleranceGradient ||
          Math.abs(t) * largestOf(direction) <= toleranceChange ||
          Math.abs(loss - before) < toleranceChange
        ) {
          return;
        }
      }
    },
  };
}

/** A parameter that has a gradient, and where it lies in the vector of all of them. */
interface Part {
  readonly name: string;
  readonly param: Float32Array;
  readonly start: number;
}

/** The parameters as one vector, and the loss along a line from where they are. */
class Line {
  readonly parts: readonly Part[];
  readonly length: number;

  constructor(
    params: ParameterSet,
    grads: ParameterSet,
    readonly oracle: StepOracle,
  ) {
    let length = 0;
    this.parts = Array.from(grads, ([name, grad]) => {
      const part = { name, param: parameterFor(params, name, grad), start: length };
      length += grad.length;
      return part;
    });
    this.length = length;
  }

  /** A copy as one vector. */
  flat(values: ParameterSet): Float64Array {
    const all = new Float64Array(this.length);
    for (const { name, start } of this.parts) all.set(values.get(name) ?? [], start);
    return all;
  }

  /** The parameters as they are. */
  get position(): Float64Array {
    return this.flat(new Map(this.parts.map(({ name, param }) => [name, param])));
  }

  /** Puts the parameters at `from + t · direction`. */
  move(from: Float64Array, direction: Float64Array, t: number): void {
    for (const { param, start } of this.parts) {
      for (let i = 0, at = start; i < param.length; i++, at++) param[i] = from[at] + t * direction[at];
    }
  }

  /** Moves there and asks for loss and gradient. */
  async measure(from: Float64Array, direction: Float64Array, t: number): Promise<LinePoint> {
    this.move(from, direction, t);
    const { loss, gradients } = await this.oracle.evaluate();
    const gradient = this.flat(gradients);
    return { t, loss, gradient, slope: dot(gradient, direction) };
  }
}

/** The differences of gradients and parameters, in the slots of the state; the oldest pair makes room for the newest. */
class Memory {
  readonly #scalars: Record<string, number>;
  readonly #curvatures: readonly Float32Array[];
  readonly #views = new Map<string, readonly Float32Array[]>();

  constructor(
    readonly state: OptimizerState,
    readonly parts: readonly Part[],
    readonly size: number,
  ) {
    this.#curvatures = parts.map(({ name }) => slotFor(state, 'curvature', name, size));
    for (const slot of ['prev_flat_grad', 'last_step']) this.#view(slot);
    for (const slot of ['old_dirs', 'old_stps']) this.#view(slot, 0);
    this.#scalars = state.scalars ?? { n_iter: 0, pairs: 0, h_diag: 1 };
    state.scalars = this.#scalars;
  }

  /** Iterations of all steps so far. */
  get iterations(): number {
    return this.#scalars.n_iter;
  }

  /** `−H g`, after a look at how the gradient has changed. */
  direction(gradient: Float64Array): Float64Array {
    const scalars = this.#scalars;
    scalars.n_iter++;
    const q = gradient.map((g) => -g);
    if (scalars.n_iter === 1) return q;
    this.#addPair(gradient);
    const kept = Math.min(scalars.pairs, this.size);
    const newestFirst = Array.from({ length: kept }, (_, age) => (scalars.pairs - 1 - age) % this.size);
    const pairs = newestFirst.map((index) => {
      const y = this.#view('old_dirs', index);
      const s = this.#view('old_stps', index);
      return { y, s, rho: 1 / this.#curvatures.reduce((sum, values) => sum + values[index], 0) };
    });
    const alphas = pairs.map(({ y, s, rho }) => {
      const alpha = rho * this.#dot(s, q);
      this.#add(q, -alpha, y);
      return alpha;
    });
    for (let i = 0; i < q.length; i++) q[i] *= scalars.h_diag;
    for (let age = kept - 1; age >= 0; age--) {
      const { y, s, rho } = pairs[age];
      this.#add(q, alphas[age] - rho * this.#dot(y, q), s);
    }
    return q;
  }

  /** Keeps the gradient before a move, and the move. */
  remember(gradient: Float64Array, direction: Float64Array, t: number): void {
    const [last, step] = [this.#view('prev_flat_grad'), this.#view('last_step')];
    this.parts.forEach(({ param, start }, index) => {
      last[index].set(gradient.subarray(start, start + param.length));
      for (let i = 0; i < param.length; i++) step[index][i] = t * direction[start + i];
    });
  }

  #addPair(gradient: Float64Array): void {
    const y = gradient.slice();
    this.#add(y, -1, this.#view('prev_flat_grad'));
    const step = this.#view('last_step');
    const curvature = this.#dot(step, y);
    if (!(curvature > leastCurvature)) return;
    const scalars = this.#scalars;
    const index = scalars.pairs % this.size;
    const [dirs, steps] = [this.#view('old_dirs', index), this.#view('old_stps', index)];
    this.parts.forEach(({ param, start }, part) => {
      dirs[part].set(y.subarray(start, start + param.length));
      steps[part].set(step[part]);
      this.#curvatures[part][index] = partialDot(step[part], y, start);
    });
    scalars.pairs++;
    scalars.h_diag = curvature / dot(y, y);
  }

  /** A slot's values for each part; of those that hold many vectors, the one at an index. */
  #view(slot: string, index?: number): readonly Float32Array[] {
    const key = `${slot} ${index}`;
    const known = this.#views.get(key);
    if (known) return known;
    const made = this.parts.map(({ name, param: { length } }) => {
      if (index === undefined) return slotFor(this.state, slot, name, length);
      return slotFor(this.state, slot, name, this.size * length).subarray(index * length, (index + 1) * length);
    });
    this.#views.set(key, made);
    return made;
  }

  #dot(views: readonly Float32Array[], flat: Float64Array): number {
    return this.parts.reduce((sum, { start }, part) => sum + partialDot(views[part], flat, start), 0);
  }

  #add(flat: Float64Array, factor: number, views: readonly Float32Array[]): void {
    this.parts.forEach(({ start }, part) => {
      addScaled(flat, start, factor, views[part]);
    });
  }
}

/** `Σ view[i] · flat[start + i]`; four sums, since in one alone each addition waits for the last. */
function partialDot(view: Float32Array, flat: Float64Array, start: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (let at = start; i + 4 <= view.length; i += 4, at += 4) {
    s0 += view[i] * flat[at];
    s1 += view[i + 1] * flat[at + 1];
    s2 += view[i + 2] * flat[at + 2];
    s3 += view[i + 3] * flat[at + 3];
  }
  for (; i < view.length; i++) s0 += view[i] * flat[start + i];
  return s0 + s1 + (s2 + s3);
}

function addScaled(flat: Float64Array, start: number, factor: number, view: Float32Array): void {
  for (let i = 0; i < view.length; i++) flat[start + i] += factor * view[i];
}

/** A slot with room for several vectors of each parameter's length. */
function longSlot(params: ParameterSet, count: number): Map<string, Float32Array> {
  return new Map(Array.from(params, ([name, { length }]) => [name, new Float32Array(count * length)]));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Largest absolute value. NaN counts as larger than all. */
function largestOf(values: Float64Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    if (!(Math.abs(values[i]) <= most)) most = Math.abs(values[i]);
  }
  return most;
}

/** Registry entry of {@link lbfgs}. */
export const lbfgsEntry: OptimizerEntry = {
  name: 'lbfgs',
  description: 'L-BFGS, several iterations on each batch, line search on demand',
  options: lbfgsOptions,
  // Batches differ, so a fixed length fails; few iterations, since each costs an evaluation or two.
  search: { decades: [-1, 0, -2, -3, 1, -4], options: { maxIterations: 4, lineSearch: 'strong-wolfe' } },
  isJoint: true,
  create: lbfgs,
};
