import {
  add,
  cast,
  div,
  equal,
  exp,
  expand,
  mul,
  neg,
  reciprocal,
  reduceMean,
  reduceSum,
  reshape,
  sqrt,
  sub,
} from '../builder/index.js';
import { sizeOf } from '../dtype.js';
import type { Tensor } from '../graph.js';
import type { ReductionOps } from '../ops.js';
import type { GradientNode, GradientRule, GradientRules } from './rule.js';

/** The shape of a tensor with the given axes at length 1. */
function keptShape(x: Tensor, axes: readonly number[]): number[] {
  return x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
}

/** Equal extreme elements share the gradient. */
const extreme: GradientRule<'ReduceMax'> & GradientRule<'ReduceMin'> = (
  {
    inputs: [x],
    outputs: [y],
    attributes: { axes },
  }: Pick<GradientNode<'ReduceMax'>, 'inputs' | 'outputs' | 'attributes'>,
  [g],
) => {
  const kept = keptShape(x, axes);
  const chosen = cast(equal(x, reshape(y, kept)), x.dtype);
  return [mul(chosen, div(reshape(g, kept), reduceSum(chosen, { axes, keepDims: true })))];
};

export const reductionRules: GradientRules<ReductionOps> = {
  ReduceSum: ({ inputs: [x], attributes: { axes } }, [g]) => [expand(reshape(g, keptShape(x, axes)), x.shape)],
  ReduceMean: ({ inputs: [x], attributes: { axes } }, [g]) => {
    // An empty axis has no element that the gradient could reach.
    const count = Math.max(sizeOf(axes.map((axis) => x.shape[axis])), 1);
    return [expand(reshape(mul(g, 1 / count), keptShape(x, axes)), x.shape)];
  },
  ReduceMax: extreme,
  ReduceMin: extreme,
  ArgMax: () => [],
  /** y·(g − Σ g·y) */
  Softmax: ({ outputs: [y], attributes: { axis } }, [g]) => [
    mul(y, sub(g, reduceSum(mul(g, y), { axes: [axis], keepDims: true }))),
  ],
  /** g − e^y·Σ g */
  LogSoftmax: ({ outputs: [y], attributes: { axis } }, [g]) => [
    sub(g, mul(exp(y), reduceSum(g, { axes: [axis], keepDims: true }))),
  ],
  /**
   * With x̂ = (x − m)·r and h = g·scale: r·(h − mean h − x̂·mean(h·x̂)); the mean's own gradient adds ġ/n, that of the
   * inverse deviation −r²·x̂·ġ/n, so that second derivatives pass through both.
   */
  LayerNormalization: (
    { inputs: [x, scale], outputs: [, mean, deviation], attributes: { axis } },
    [g, gMean, gDeviation],
  ) => {
    const axes = x.shape.map((_, index) => index).slice(axis);
    const count = axes.reduce((product, index) => product * x.shape[index], 1);
    const normalized = mul(sub(x, mean), deviation);
    const parts: Tensor[] = [];
    if (g) {
      const h = mul(g, scale);
      const along = mul(normalized, reduceMean(mul(h, normalized), { axes, keepDims: true }));
      parts.push(mul(deviation, sub(sub(h, reduceMean(h, { axes, keepDims: true })), along)));
    }
    if (gMean) parts.push(expand(mul(gMean, 1 / Math.max(count, 1)), x.shape));
    if (gDeviation)
      parts.push(mul(normalized, mul(gDeviation, mul(mul(deviation, deviation), -1 / Math.max(count, 1)))));
    return [parts.reduce((a, b) => add(a, b)), g && mul(g, normalized), g];
  },
  /** With r = 1/√(mean x² + ε), x̂ = x·r and h = g·scale: r·(h − x̂·mean(h·x̂)). */
  RMSNormalization: ({ inputs: [x, scale], attributes: { axis, epsilon } }, [g]) => {
    const axes = x.shape.map((_, index) => index).slice(axis);
    const square = reduceMean(mul(x, x), { axes, keepDims: true });
    const factor = reciprocal(sqrt(add(square, epsilon)));
    const normalized = mul(x, factor);
    const h = mul(g, scale);
    const along = mul(normalized, reduceMean(mul(h, normalized), { axes, keepDims: true }));
    return [mul(factor, sub(h, along)), mul(g, normalized)];
  },
  /** With x̂ = (x − mean)/√(var + ε): the running statistics are inputs like any other. */
  BatchNormalization: ({ inputs: [x, scale, , mean, variance], attributes: { epsilon } }, [g]) => {
    const perChannel = (tensor: Tensor) => reshape(tensor, [x.shape[1], ...x.shape.slice(2).map(() => 1)]);
    const overChannel = (tensor: Tensor) =>
      reduceSum(tensor, { axes: x.shape.map((_, axis) => axis).filter((axis) => axis !== 1) });
    const deviation = perChannel(reciprocal(sqrt(add(variance, epsilon))));
    const normalized = mul(sub(x, perChannel(mean)), deviation);
    const dx = mul(g, mul(perChannel(scale), deviation));
    const byVariance = mul(mul(dx, normalized), mul(deviation, -0.5));
    return [dx, overChannel(mul(g, normalized)), overChannel(g), neg(overChannel(dx)), overChannel(byVariance)];
  },
};
