import { abs, add, div, exp, less, max, min, mul, neg, sign, sub, where } from '../builder/index.js';
import type { Tensor } from '../graph.js';

/** Quotients of polynomials, constants last: near 0 in x², up to 4 in |x|, beyond it in 1 / x². */
const near = {
  above: [0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694],
  below: [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171],
};
const middle = {
  above: [
    2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
    881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
  ],
  below: [
    1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
    4362.619090143247, 3439.3676741437216, 1230.3393548037495,
  ],
};
const far = {
  above: [
    0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
    0.0006587491615298378,
  ],
  below: [1, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918],
};

/** Σ coefficients · xⁿ by Horner's rule. */
function polynomial(x: Tensor, [first, second, ...rest]: readonly number[]): Tensor {
  return rest.reduce<Tensor>((sum, c) => add(mul(sum, x), c), add(mul(x, first), second));
}

/**
 * The error function in float64, within 2e-16 of the true value: `x·P(x²)/Q(x²)` near 0, `1 − e^(−x²)·P/Q` beyond.
 *
 * @see Cody, "Rational Chebyshev Approximations for the Error Function", Mathematics of Computation 23 (1969).
 */
export function erfOf(x: Tensor): Tensor {
  const size = abs(x);
  const square = mul(x, x);
  const inner = div(mul(x, polynomial(square, near.above)), polynomial(square, near.below));
  // Beyond 6 the function is 1 to the last digit; each branch is given numbers that it can compute, taken or not.
  const y = min(max(size, 0.46875), 6);
  const decay = exp(neg(mul(y, y)));
  const byMiddle = mul(decay, div(polynomial(y, middle.above), polynomial(y, middle.below)));
  const inverse = div(1, mul(y, y));
  const tail = div(mul(inverse, polynomial(inverse, far.above)), polynomial(inverse, far.below));
  const byFar = mul(decay, div(sub(1 / Math.sqrt(Math.PI), tail), y));
  const outer = mul(sign(x), sub(1, where(less(y, 4), byMiddle, byFar)));
  return where(less(size, 0.46875), inner, outer);
}
