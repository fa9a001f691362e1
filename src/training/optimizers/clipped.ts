import type { Optimizer, ParameterSet, StepOracle } from './optimizer.js';

/** Added to the norm before it divides, as torch.nn.utils.clip_grad_norm_ does. */
const normFloor = 1e-6;

/**
 * An optimizer that sees gradients of a limited length: `g · min(1, maxNorm / (‖g‖ + 1e-6))`, ‖g‖ the norm over all parameters.
 *
 * Gradients that the optimizer asks for again are clipped as well; products with second derivatives are not. Nothing is added to
 * the state. Where the norm is infinite or NaN, gradients become NaN and the run says so.
 *
 * @param maxNorm - Above 0.
 * @see torch.nn.utils.clip_grad_norm_
 */
export function clipped(inner: Optimizer, maxNorm: number): Optimizer {
  const scaled = new Map<string, Float32Array>();
  const clip = (grads: ParameterSet): ParameterSet => {
    const factor = maxNorm / (norm(grads) + normFloor);
    if (factor >= 1) return grads;
    return new Map(
      Array.from(grads, ([name, grad]) => {
        const known = scaled.get(name);
        const values = known?.length === grad.length ? known : new Float32Array(grad.length);
        for (let i = 0; i < grad.length; i++) values[i] = grad[i] * factor;
        scaled.set(name, values);
        return [name, values];
      }),
    );
  };
  return {
    name: inner.name,
    needs: inner.needs,
    isGradientFree: inner.isGradientFree,
    idleFactor: inner.idleFactor && ((parameter, learningRate) => inner.idleFactor?.(parameter, learningRate)),
    init: (params, shapes) => inner.init(params, shapes),
    prepare: inner.prepare && ((state, params) => inner.prepare?.(state, params)),
    update: (grads, state, params, learningRate, oracle) =>
      inner.update(clip(grads), state, params, learningRate, oracle && clippedOracle(oracle, clip)),
  };
}

function clippedOracle(oracle: StepOracle, clip: (grads: ParameterSet) => ParameterSet): StepOracle {
  return {
    get loss() {
      return oracle.loss;
    },
    get evaluations() {
      return oracle.evaluations;
    },
    lossAlone: () => oracle.lossAlone(),
    evaluate: async () => {
      const { loss, gradients } = await oracle.evaluate();
      return { loss, gradients: clip(gradients) };
    },
    hessianProduct: (v) => oracle.hessianProduct(v),
    gaussNewtonProduct: (v) => oracle.gaussNewtonProduct(v),
    kroneckerFactors: (question) => oracle.kroneckerFactors(question),
  };
}

function norm(grads: ParameterSet): number {
  let squares = 0;
  for (const grad of grads.values()) {
    let sum = 0;
    for (let i = 0; i < grad.length; i++) sum += grad[i] * grad[i];
    squares += sum;
  }
  return Math.sqrt(squares);
}
