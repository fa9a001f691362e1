import type { Figure2Data } from '../networks.js';
import { type BlockBound, parameterOf, type Values } from './bound.js';
import { Dense, Gram, squared } from './dense.js';
import type { Chain } from './printed.js';

const side = 2;
const channels = 4;

/** Places of the map. */
const places = side ** 2;
const taps = 9;

/** The kernel's tap that a window at place `to` sees element `from` of the map through; on so small a map one of nine. */
function tapOf(to: number, from: number): number {
  const [row, column] = [Math.floor(from / side) - Math.floor(to / side), (from % side) - (to % side)];
  return (row + 1) * 3 + column + 1;
}

/** What the window at a place sees, `[inputs · taps]`. */
function windowAt(map: Float64Array, place: number): Float64Array {
  const inputs = map.length / places;
  const seen = new Float64Array(inputs * taps);
  for (let i = 0; i < inputs; i++) {
    for (let from = 0; from < places; from++) seen[i * taps + tapOf(place, from)] = map[i * places + from];
  }
  return seen;
}

/** A 3×3 convolution with padding 1 on a 2×2 map. */
class Convolution {
  readonly kernels: Dense;
  readonly hasBias: boolean;

  /** @param kernels - `[channels, inputs · taps]`. */
  constructor(
    kernels: Float64Array,
    readonly bias: Float64Array,
  ) {
    this.kernels = new Dense(channels, kernels.length / channels, kernels);
    this.hasBias = bias.some((value) => value !== 0);
  }

  /** `[channels, places]`, before tanh. */
  apply(map: Float64Array): Float64Array {
    const out = new Float64Array(channels * places);
    for (let place = 0; place < places; place++) {
      const found = this.kernels.apply(windowAt(map, place));
      for (let k = 0; k < channels; k++) out[k * places + place] = found[k] + this.bias[k];
    }
    return out;
  }

  /** `λ_min` of a sum of windows, less their weighted mean where there are biases. */
  leastOf(windows: Gram): number {
    return this.hasBias ? windows.leastCentred() : windows.least();
  }

  /** The matrix that it is on a map, `[channels · places, inputs · places]`. */
  onMap(): Dense {
    const inputs = this.kernels.columns / taps;
    const map = Dense.zeros(channels * places, inputs * places);
    for (let k = 0; k < channels; k++) {
      for (let to = 0; to < places; to++) {
        const row = map.row(k * places + to);
        for (let i = 0; i < inputs; i++) {
          for (let from = 0; from < places; from++) {
            row[i * places + from] = this.kernels.at(k, i * taps + tapOf(to, from));
          }
        }
      }
    }
    return map;
  }

  /** Adds `weight · window windowᵀ` of every place. */
  addWindows(gram: Gram, map: Float64Array, weights: ArrayLike<number>): void {
    for (let place = 0; place < places; place++) gram.add(windowAt(map, place), weights[place]);
  }
}

/** `(tanh(z) / z)²`: of a value that came out as tanh(z), what makes it z² again. */
function secant(z: number): number {
  return z === 0 ? 1 : (Math.tanh(z) / z) ** 2;
}

/** What the network computes of each example. */
function passesOf(values: Values, { size, x }: Figure2Data) {
  const [k1, b1, k2, b2] = ['conv1.weight', 'conv1.bias', 'conv2.weight', 'conv2.bias'].map((each) =>
    parameterOf(values, each),
  );
  const [conv1, conv2] = [new Convolution(k1, b1), new Convolution(k2, b2)];
  const w1 = new Dense(8, channels * places, parameterOf(values, 'fc1.weight'));
  const w2 = new Dense(4, 8, parameterOf(values, 'fc2.weight'));
  const bias = parameterOf(values, 'fc1.bias');
  const examples = Array.from({ length: size }, (_, n) => {
    const map = x.subarray(places * n, places * (n + 1));
    const z1 = conv1.apply(map);
    const a1 = z1.map(Math.tanh);
    const z2 = conv2.apply(a1);
    const h = z2.map(Math.tanh);
    const z = w1.apply(h).map((value, unit) => value + bias[unit]);
    // Of the output by the first linear layer, [4, 8], and by the second map, [4, channels · places].
    const byFc1 = w2.columnsTimes(z.map((value) => 1 - Math.tanh(value) ** 2));
    const byMap = byFc1.times(w1).columnsTimes(h.map((value) => 1 - value * value));
    return { map, z1, a1, z2, h, z, byFc1, byMap };
  });
  return { conv1, conv2, w1, w2, bias, examples };
}

/** The same for the bounds as the paper prints them: D holds tanh', and convolutions are the matrices that they are on a map. */
export function cnnChains(values: Values, data: Figure2Data): Chain[] {
  const { conv1, conv2, w1, w2, examples } = passesOf(values, data);
  const weights = [conv1.onMap(), conv2.onMap(), w1, w2];
  const slope = (value: number) => 1 - Math.tanh(value) ** 2;
  const windows = (map: Float64Array) => Array.from({ length: places }, (_, place) => windowAt(map, place));
  return examples.map(({ map, z1, a1, z2, h, z }) => ({
    weights,
    slopes: [z1.map(slope), z2.map(slope), z.map(slope)],
    windows: [windows(map), windows(a1), [h]],
  }));
}

/**
 * Bounds for the tanh network. The block of the last layer is exactly `2/(N d) · I ⊗ Σ a aᵀ`; with the secant slopes
 * s = tanh(z) / z the last hidden values are `a = s ∘ (W h)`, a product, so
 *
 * - `fc1`, in the block of `fc2`: `A = 2/(N d) · max_k u_k² λ_min(Σ s_k² h hᵀ)`, no slack;
 * - `fc2`, in the block of `fc1`: `A = 2/(N d) · max_k v_k² λ_max(Σ tanh'(z_k)² h hᵀ)` of its Gauss-Newton part;
 * - `conv2`, in the block of `fc1`: the values of channel k at the four places p are `s w_k·(window at p)`. No window sees all
 *   taps; the four together do. The mean over p of the test vectors `e_r ⊗ e_(k, p)` gives
 *   `A = 2/(N d) · ¼ max_{k, r} u_k² λ_min(Σ ‖J e_r‖² Σ_p s² window windowᵀ)` of the Gauss-Newton part, J of the output by fc1;
 * - `conv1`, in the block of `conv2`: the middle tap of channel i moves the output by `Σ_p J_p e_r a_(i, p) = B a`, and
 *   `‖B a‖² ≥ λ_min(BᵀB) ‖a‖²`, so `A = 2/(N d) · max_{i, r} u_i² λ_min(Σ λ_min(BᵀB) Σ_p s² window windowᵀ)`, likewise.
 *
 * Of a layer with biases λ_min is that of its inputs less their weighted mean. tanh bends, so the last three blocks have another
 * part, whose norm is the slack; it is measured.
 */
export function cnnBounds(values: Values, data: Figure2Data): BlockBound[] {
  const { conv1, conv2, w1, w2, bias, examples } = passesOf(values, data);
  const wide = channels * places;
  const hasBias = bias.some((value) => value !== 0);
  const scale = 2 / data.y.length;
  const [first, second] = [w1.top(), w2.top()];
  const [kernel1, kernel2] = [conv1.kernels.top(), conv2.kernels.top()];
  let [ofFirst, ofSecond, ofKernel1, ofKernel2] = [0, 0, 0, 0];
  for (let unit = 0; unit < 8; unit++) {
    const secants = new Gram(wide);
    const slopes = new Gram(wide);
    for (const { h, z } of examples) {
      const value = Math.tanh(z[unit]);
      secants.add(h, secant(z[unit]));
      slopes.add(h, (1 - value * value) ** 2);
    }
    ofFirst = Math.max(ofFirst, first.u[unit] ** 2 * (hasBias ? secants.leastCentred() : secants.least()));
    ofSecond = Math.max(ofSecond, second.v[unit] ** 2 * slopes.largest());
    for (let k = 0; k < channels; k++) {
      const windows = new Gram(conv2.kernels.columns);
      for (const { a1, z2, byFc1 } of examples) {
        const length = squared(byFc1.transposed().row(unit));
        const weights = Array.from({ length: places }, (_, p) => length * secant(z2[k * places + p]));
        conv2.addWindows(windows, a1, weights);
      }
      ofKernel2 = Math.max(ofKernel2, (kernel2.u[k] ** 2 * conv2.leastOf(windows)) / places);
    }
  }
  for (let r = 0; r < channels; r++) {
    const least = examples.map(({ byMap }) => {
      const outputs = new Dense(places, 4, byMap.transposed().data.slice(r * places * 4, (r + 1) * places * 4));
      return Math.max(0, outputs.times(outputs.transposed()).eigenvalues()[0]);
    });
    for (let i = 0; i < channels; i++) {
      const windows = new Gram(conv1.kernels.columns);
      examples.forEach(({ map, z1 }, n) => {
        const weights = Array.from({ length: places }, (_, p) => least[n] * secant(z1[i * places + p]));
        conv1.addWindows(windows, map, weights);
      });
      ofKernel1 = Math.max(ofKernel1, kernel1.u[i] ** 2 * conv1.leastOf(windows));
    }
  }
  return [
    { block: 'fc2.weight', weight: 'fc1.weight', sigma: first.sigma, factor: scale * ofFirst, slack: 0 },
    { block: 'fc1.weight', weight: 'fc2.weight', sigma: second.sigma, factor: scale * ofSecond, slack: undefined },
    { block: 'fc1.weight', weight: 'conv2.weight', sigma: kernel2.sigma, factor: scale * ofKernel2, slack: undefined },
    {
      block: 'conv2.weight',
      weight: 'conv1.weight',
      sigma: kernel1.sigma,
      factor: scale * ofKernel1,
      slack: undefined,
    },
  ];
}
