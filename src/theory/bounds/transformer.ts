import { residualStrength as eta, type Figure2Data } from '../networks.js';
import { type BlockBound, parameterOf, type Values } from './bound.js';
import { Dense, Gram, inner, squared } from './dense.js';

const width = 4;
const hidden = 8;
const tokens = 2;

/** What the block computes of one token: its input, what attention mixes for it, and what the feed-forward layer sees. */
interface TokenPass {
  /** Input of the token. */
  readonly z: Float64Array;
  /** `Σ p_k z_k`: the inputs, mixed by attention. */
  readonly mixed: Float64Array;
  /** `Σ p_k (z_k − mixed)(z_k − mixed)ᵀ`: how softly attention chooses; 0 where it has settled on one token. */
  readonly spread: Dense;
  /** Input of the feed-forward layer. */
  readonly attended: Float64Array;
  /** Which of its units are above 0. */
  readonly active: Float64Array;
  /** `∂ output / ∂ attended = I + η W_2 D W_1`. */
  readonly after: Dense;
}

/** The six weights as matrices. */
function matricesOf(values: Values): Record<'Q' | 'K' | 'V' | 'O' | 'one' | 'two', Dense> {
  const square = (name: string) => new Dense(width, width, parameterOf(values, name));
  return {
    Q: square('W_Q'),
    K: square('W_K'),
    V: square('W_V'),
    O: square('W_O'),
    one: new Dense(hidden, width, parameterOf(values, 'W_1')),
    two: new Dense(width, hidden, parameterOf(values, 'W_2')),
  };
}

function passOf(values: Values, x: Float64Array): TokenPass[] {
  const { Q, K, V, O, one, two } = matricesOf(values);
  const z = Array.from({ length: tokens }, (_, t) => x.subarray(t * width, (t + 1) * width));
  const keys = z.map((each) => K.apply(each));
  return z.map((own) => {
    const query = Q.apply(own);
    const scores = keys.map((key) => inner(key, query));
    const top = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - top));
    const total = powers.reduce((a, b) => a + b);
    const shares = powers.map((power) => power / total);
    const mixed = new Float64Array(width);
    shares.forEach((share, k) => {
      for (let i = 0; i < width; i++) mixed[i] += share * z[k][i];
    });
    const spread = new Gram(width);
    shares.forEach((share, k) => {
      spread.add(
        z[k].map((value, i) => value - mixed[i]),
        share,
      );
    });
    const attended = O.apply(V.apply(mixed)).map((value, i) => own[i] + eta * value);
    const active = one.apply(attended).map((value) => Number(value > 0));
    const after = Dense.identity(width).plus(two.columnsTimes(active).times(one), eta);
    return { z: own, mixed, spread: spread.sum, attended, active, after };
  });
}

/**
 * Bounds for the transformer of Appendix A.2 with mean squared error, one for each weight. Output and loss are piecewise
 * quadratic in W_V, W_O, W_1 and W_2, so those blocks are their Gauss-Newton parts; those of W_Q and W_K, which softmax bends,
 * have another part, whose norm is the slack; it is measured. With `q = Σ p_k z_k`, `T = I + η W_2 D W_1` and C the spread of what
 * attention chooses from, of each token:
 *
 *     W_O in the block of W_V:  A = c η² λ_max(Σ |T u|² q qᵀ)
 *     W_V in the block of W_O:  A = c η² λ_max(Σ ⟨v, q⟩² Tᵀ T)
 *     W_2 in the block of W_1:  A = c η² max_k v_k² λ_max(Σ_{k active} z' z'ᵀ)
 *     W_1 in the block of W_2:  A = c η² max_k u_k² λ_min(Σ_{k active} z' z'ᵀ)
 *     W_K in the block of W_Q:  A = c λ_max(Σ |F v|² z zᵀ),        F = η T W_O W_V C
 *     W_Q in the block of W_K:  A = c λ_max(Σ ⟨v, z⟩² Fᵀ F)
 *
 * u and v are the weight's top singular vectors, c = 2 / (number of outputs).
 */
export function transformerBounds(values: Values, { size, x, y }: Figure2Data): BlockBound[] {
  const matrices = matricesOf(values);
  const scale = 2 / y.length;
  const per = tokens * width;
  const passes = Array.from({ length: size }, (_, n) => passOf(values, x.subarray(n * per, (n + 1) * per))).flat();
  const top = Object.fromEntries(Object.entries(matrices).map(([key, matrix]) => [key, matrix.top()]));
  const soft = passes.map(({ after, spread }) => after.times(matrices.O).times(matrices.V).times(spread));
  const sum = (weight: (pass: TokenPass, index: number) => number, vector: (pass: TokenPass) => Float64Array) => {
    const gram = new Gram(width);
    passes.forEach((pass, index) => {
      gram.add(vector(pass), weight(pass, index));
    });
    return gram.largest();
  };
  const rows = (weight: (pass: TokenPass) => number, matrix: (pass: TokenPass, index: number) => Dense) => {
    const gram = new Gram(width);
    passes.forEach((pass, index) => {
      const found = matrix(pass, index);
      for (let row = 0; row < width; row++) gram.add(found.row(row), weight(pass));
    });
    return gram.largest();
  };
  let [ofTwo, ofOne] = [0, 0];
  for (let unit = 0; unit < hidden; unit++) {
    const gram = new Gram(width);
    for (const { attended, active } of passes) gram.add(attended, active[unit]);
    ofTwo = Math.max(ofTwo, top.two.v[unit] ** 2 * gram.largest());
    ofOne = Math.max(ofOne, top.one.u[unit] ** 2 * gram.least());
  }
  const branch = scale * eta * eta;
  const bound = (block: string, weight: string, sigma: number, factor: number, slack?: 0): BlockBound => ({
    block,
    weight,
    sigma,
    factor,
    slack,
  });
  return [
    bound(
      'W_K',
      'W_Q',
      top.Q.sigma,
      branch *
        rows(
          ({ z }) => inner(top.Q.v, z) ** 2,
          (_, index) => soft[index],
        ),
    ),
    bound(
      'W_Q',
      'W_K',
      top.K.sigma,
      branch *
        sum(
          (_, index) => squared(soft[index].apply(top.K.v)),
          ({ z }) => z,
        ),
    ),
    bound(
      'W_O',
      'W_V',
      top.V.sigma,
      branch *
        rows(
          ({ mixed }) => inner(top.V.v, mixed) ** 2,
          ({ after }) => after,
        ),
      0,
    ),
    bound(
      'W_V',
      'W_O',
      top.O.sigma,
      branch *
        sum(
          ({ after }) => squared(after.apply(top.O.u)),
          ({ mixed }) => mixed,
        ),
      0,
    ),
    bound('W_2', 'W_1', top.one.sigma, branch * ofOne, 0),
    bound('W_1', 'W_2', top.two.sigma, branch * ofTwo, 0),
  ];
}
