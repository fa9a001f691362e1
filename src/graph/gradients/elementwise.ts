import {
  add,
  cast,
  cos,
  div,
  equal,
  erf,
  exp,
  greater,
  lessOrEqual,
  log,
  mul,
  neg,
  pow,
  sigmoid,
  sign,
  sin,
  sub,
  where,
} from '../builder/index.js';
import { isFloat } from '../dtype.js';
import type { Tensor } from '../graph.js';
import type { ElementwiseOps } from '../ops.js';
import type { GradientRules, InputGradients } from './rule.js';

const none = (): InputGradients => [];

/**
 * d Gelu: `Φ(x) + x φ(x)`; by tanh, with `½(1 + tanh u) = σ(2u)` and `z = 2u = √(8/π) (x + 0.044715 x³)`:
 * `σ(z) + x σ(z) σ(−z) z'`, which keeps its digits far out, where `1 − tanh² u` loses them.
 */
function geluDerivative(x: Tensor, approximate: 'none' | 'tanh'): Tensor {
  if (approximate === 'none') {
    const distribution = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);
    const density = mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return add(distribution, mul(x, density));
  }
  const slope = Math.sqrt(8 / Math.PI);
  const squared = mul(x, x);
  const z = mul(x, add(mul(squared, 0.044715 * slope), slope));
  const below = sigmoid(z);
  const inner = add(mul(squared, 3 * 0.044715 * slope), slope);
  return add(below, mul(mul(x, inner), mul(below, sigmoid(neg(z)))));
}

export const elementwiseRules: GradientRules<ElementwiseOps> = {
  Add: (_node, [g]) => [g, g],
  Sub: (_node, [g]) => [g, neg(g)],
  Mul: ({ inputs: [a, b] }, [g]) => [mul(g, b), mul(g, a)],
  /** d(a/b) = g/b, −g·y/b */
  Div: ({ inputs: [, b], outputs: [y] }, [g]) => [div(g, b), neg(div(mul(g, y), b))],
  /** d(aᵇ) = g·b·aᵇ⁻¹ (0 where b = 0), g·y·ln a (0 where a ≤ 0) */
  Pow: ({ inputs: [a, b], outputs: [y] }, [g]) => {
    const constant = equal(b, 0);
    const exponent = where(constant, 1, b);
    const byBase = where(constant, 0, mul(g, mul(exponent, pow(a, sub(exponent, 1)))));
    return [byBase, mul(g, mul(y, log(where(lessOrEqual(a, 0), 1, a))))];
  },
  /** Each side gets g where it is the larger, ½ g where both are equal. */
  Max: ({ inputs: [a, b] }, [g]) => {
    const half = mul(sign(sub(a, b)), 0.5);
    return [mul(g, add(half, 0.5)), mul(g, sub(0.5, half))];
  },
  Min: ({ inputs: [a, b] }, [g]) => {
    const half = mul(sign(sub(a, b)), 0.5);
    return [mul(g, sub(0.5, half)), mul(g, add(half, 0.5))];
  },
  Equal: none,
  Less: none,
  LessOrEqual: none,
  Greater: none,
  GreaterOrEqual: none,
  And: none,
  Or: none,
  Not: none,
  Where: ({ inputs: [condition] }, [g]) => [undefined, where(condition, g, 0), where(condition, 0, g)],
  Neg: (_node, [g]) => [neg(g)],
  Abs: ({ inputs: [x] }, [g]) => [mul(g, sign(x))],
  Sign: none,
  Exp: ({ outputs: [y] }, [g]) => [mul(g, y)],
  Log: ({ inputs: [x] }, [g]) => [div(g, x)],
  Sqrt: ({ outputs: [y] }, [g]) => [div(mul(g, 0.5), y)],
  Reciprocal: ({ outputs: [y] }, [g]) => [neg(mul(g, mul(y, y)))],
  Sin: ({ inputs: [x] }, [g]) => [mul(g, cos(x))],
  Cos: ({ inputs: [x] }, [g]) => [neg(mul(g, sin(x)))],
  /** Comparing and choosing takes two thirds of the time of a product with the sign (295,000 elements: 0.20, 0.31 ms). */
  Relu: ({ outputs: [y] }, [g]) => [where(greater(y, 0), g, 0)],
  Sigmoid: ({ outputs: [y] }, [g]) => [mul(g, mul(y, sub(1, y)))],
  Tanh: ({ outputs: [y] }, [g]) => [mul(g, sub(1, mul(y, y)))],
  /** 2/√π · e^(−x²) */
  Erf: ({ inputs: [x] }, [g]) => [mul(g, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI)))],
  Gelu: ({ inputs: [x], attributes }, [g]) => [mul(g, geluDerivative(x, attributes.approximate))],
  Cast: ({ inputs: [x], attributes }, [g]) => [
    isFloat(attributes.to) && isFloat(x.dtype) ? cast(g, x.dtype) : undefined,
  ],
};
