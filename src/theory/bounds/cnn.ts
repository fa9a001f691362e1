import type { Figure2Data } from '../networks.js';
import { type BlockBound, parameterOf, type Values } from './bound.js';
import { Dense, Gram } from './dense.js';

const side = 2;
const channels = 4;

/** tanh of a 3×3 convolution with padding 1 on a 2×2 map, `[out, 2, 2]`. */
function convolved(map: Float64Array, kernels: Float64Array, bias: Float64Array): Float64Array {
  const inputs = map.length / side ** 2;
  const out = new Float64Array(bias.length * side ** 2);
  for (let o = 0; o < bias.length; o++) {
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        let sum = bias[o];
        for (let i = 0; i < inputs; i++) {
          for (let r = 0; r < side; r++) {
            for (let c = 0; c < side; c++) {
              // Tap (r − row + 1, c − column + 1) of the kernel meets element (r, c); on so small a map all of them lie within.
              const tap = (r - row + 1) * 3 + (c - column + 1);
              sum += kernels[(o * inputs + i) * 9 + tap] * map[(i * side + r) * side + c];
            }
          }
        }
        out[(o * side + row) * side + column] = Math.tanh(sum);
      }
    }
  }
  return out;
}

/**
 * Bounds for the tanh network's linear layers. The block of the last layer is exactly `2/(N d) · I ⊗ Σ a aᵀ`; with the secant slopes
 * s = tanh(z) / z the last hidden values are `a = s ∘ (W h)`, a product, so
 *
 * - `fc1`, in the block of `fc2`: `A = 2/(N d) · max_k u_k² λ_min(Σ s_k² h hᵀ)`, no slack;
 * - `fc2`, in the block of `fc1`: `A = 2/(N d) · max_k v_k² λ_max(Σ tanh'(z_k)² h hᵀ)` of its Gauss-Newton part. tanh bends,
 *   so the block has another part, whose norm is the slack; it is measured.
 *
 * For the kernels there is no bound here: a 2×2 map lets each window see 4 of 9 taps.
 */
export function cnnBounds(values: Values, { size, x, y }: Figure2Data): BlockBound[] {
  const [k1, b1, k2, b2] = ['conv1.weight', 'conv1.bias', 'conv2.weight', 'conv2.bias'].map((each) =>
    parameterOf(values, each),
  );
  const wide = channels * side ** 2;
  const w1 = new Dense(8, wide, parameterOf(values, 'fc1.weight'));
  const w2 = new Dense(4, 8, parameterOf(values, 'fc2.weight'));
  const bias = parameterOf(values, 'fc1.bias');
  const hasBias = bias.some((value) => value !== 0);
  const scale = 2 / y.length;
  const examples = Array.from({ length: size }, (_, n) => {
    const h = convolved(convolved(x.subarray(4 * n, 4 * n + 4), k1, b1), k2, b2);
    return { h, z: w1.apply(h).map((value, unit) => value + bias[unit]) };
  });
  const first = w1.top();
  const second = w2.top();
  let [ofFirst, ofSecond] = [0, 0];
  for (let unit = 0; unit < 8; unit++) {
    const secant = new Gram(wide + Number(hasBias));
    const slopes = new Gram(wide);
    for (const { h, z } of examples) {
      const value = Math.tanh(z[unit]);
      secant.add(hasBias ? [...h, 1] : h, z[unit] === 0 ? 1 : (value / z[unit]) ** 2);
      slopes.add(h, (1 - value * value) ** 2);
    }
    ofFirst = Math.max(ofFirst, first.u[unit] ** 2 * secant.least());
    ofSecond = Math.max(ofSecond, second.v[unit] ** 2 * slopes.largest());
  }
  return [
    { block: 'fc2.weight', weight: 'fc1.weight', sigma: first.sigma, factor: scale * ofFirst, slack: 0 },
    { block: 'fc1.weight', weight: 'fc2.weight', sigma: second.sigma, factor: scale * ofSecond, slack: undefined },
  ];
}
