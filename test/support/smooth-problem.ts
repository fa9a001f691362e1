import type { StepOracle } from '../../src/training/index.js';

const shapes: Record<string, readonly number[]> = {
  matrix: [5, 3],
  vector: [7],
  kernel: [2, 3, 2, 2],
  scalar: [],
  row: [1, 4],
  skewed: [24, 2],
};

/** Tensors that are there on demand: along every dimension of some length their gradients have slices of full rank. */
const moreShapes: Record<string, readonly number[]> = { square: [4, 4], tall: [6, 4], cube: [3, 3, 3] };

const sizeOf = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

/**
 * A smooth loss on a few tensors with known derivatives, the same one as `tools/oracles/smooth_problem.py`:
 *
 *     f_s(x) = ½ Σ_k w_k (c_k · x − t_k)² + 3/40 Σ_i x_i⁴
 */
export class SmoothProblem {
  /** Parameters, at their start. */
  readonly params: Map<string, Float32Array>;
  /** Their shapes. */
  readonly shapes: Map<string, readonly number[]>;
  readonly #directions: Float64Array[];

  /**
   * @param names - Tensors that are there, by default the first six.
   * @param weights - w, with a negative one by default: the Hessian is indefinite.
   */
  constructor(
    names = Object.keys(shapes),
    readonly weights = [1, 0.5, 2, -0.3, 0.25, 0.75],
  ) {
    const all = { ...shapes, ...moreShapes };
    this.shapes = new Map(names.map((name) => [name, all[name]]));
    let at = 0;
    this.params = new Map(
      names.map((name) => [name, Float32Array.from({ length: sizeOf(all[name]) }, () => Math.cos(1 + 1.7 * at++) / 2)]),
    );
    this.#directions = weights.map((_, k) =>
      Float64Array.from({ length: at }, (_, i) => Math.sin(1 + 0.37 * (k + 1) * (i + 1))),
    );
  }

  /** Loss and gradients of a step at the parameters as they are. */
  evaluate(step: number): { loss: number; gradients: Map<string, Float32Array> } {
    const x = this.#flat(this.params);
    const gradient = x.map((value) => 0.3 * value ** 3);
    let loss = x.reduce((sum, value) => sum + 0.075 * value ** 4, 0);
    this.weights.forEach((weight, k) => {
      const residual = this.#along(k, x) - Math.cos(k + 0.9 * step);
      loss += 0.5 * weight * residual ** 2;
      this.#directions[k].forEach((c, i) => {
        gradient[i] += weight * residual * c;
      });
    });
    return { loss, gradients: this.#split(gradient) };
  }

  /** Answers an optimizer's questions about a step; Gauss-Newton leaves negative weights and the fourth powers out. */
  oracle(step: number): StepOracle & { evaluations: number } {
    const product = (v: ReadonlyMap<string, Float32Array>, weights: readonly number[], quartic: number) => {
      const x = this.#flat(this.params);
      const along = this.#flat(v);
      const out = along.map((value, i) => quartic * x[i] ** 2 * value);
      weights.forEach((weight, k) => {
        const slope = weight * this.#along(k, along);
        this.#directions[k].forEach((c, i) => {
          out[i] += slope * c;
        });
      });
      return this.#split(out);
    };
    const oracle = {
      loss: this.evaluate(step).loss,
      evaluations: 1,
      lossAlone: async () => {
        oracle.evaluations += 1 / 3;
        return this.evaluate(step).loss;
      },
      evaluate: async () => {
        oracle.evaluations++;
        return this.evaluate(step);
      },
      hessianProduct: async (v: ReadonlyMap<string, Float32Array>) => product(v, this.weights, 0.9),
      gaussNewtonProduct: async (v: ReadonlyMap<string, Float32Array>) =>
        product(
          v,
          this.weights.map((weight) => Math.max(weight, 0)),
          0,
        ),
      kroneckerFactors: async () => [],
    };
    return oracle;
  }

  #along(k: number, x: Float64Array): number {
    return this.#directions[k].reduce((sum, c, i) => sum + c * x[i], 0);
  }

  #flat(values: ReadonlyMap<string, Float32Array>): Float64Array {
    return Float64Array.from([...values.values()].flatMap((part) => [...part]));
  }

  #split(flat: Float64Array): Map<string, Float32Array> {
    let at = 0;
    return new Map(
      Array.from(this.shapes, ([name, shape]) => {
        const start = at;
        at += sizeOf(shape);
        return [name, Float32Array.from(flat.subarray(start, at))];
      }),
    );
  }
}
