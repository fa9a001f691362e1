import { describe, expect, it } from 'vitest';
import { Dense } from '../../src/theory/bounds/dense.js';
import {
  blockOf,
  exactCurvature,
  type Figure2Name,
  figure2Data,
  figure2Networks,
  figure2Outputs,
  figure2Printed,
  figure2Surface,
  figure2Weights,
  spectralNorm,
  type Values,
  withLargestSingularValue,
} from '../../src/theory/index.js';

// The bounds as the paper prints them, both sides, on Figure 2's networks: the numbers that docs/theory.md gives are those of this file.

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

describe('Theorem 2.1 and Remark A.3', () => {
  const casesOf = (name: Figure2Name, sigma: number, seeds: readonly number[] = [1, 2, 3]) => {
    const network = figure2Networks[name];
    return seeds.flatMap((seed) =>
      figure2Printed(
        network,
        figure2Data(network, seed),
        withLargestSingularValue(network, figure2Weights(network, seed), sigma),
      ),
    );
  };
  type Cases = ReturnType<typeof casesOf>;
  /** Of how many cases Remark A.3 says something by k, and the ratios of its sides there. */
  const said = (cases: Cases) =>
    cases[0].sums.map((_, k) => cases.map(({ sums }) => sums[k]).filter(({ right }) => right > 0));
  const of = (cases: Cases, block: number, weight: number) =>
    cases.filter((each) => each.block === block && each.weight === weight);
  const mlp = casesOf('mlp', 1);
  const cnn = { 1: casesOf('cnn', 1), 32: casesOf('cnn', 32) };

  it.each([
    ['mlp', mlp],
    ['cnn at σ_max 1', cnn[1]],
    ['cnn at σ_max 32', cnn[32]],
  ])('%s: the theorem’s right side is 0 in all cases; sums are never above what they bound', (_, cases) => {
    expect(cases).toHaveLength(3 * 64 * 6);
    expect(median(cases.map(({ left }) => left))).toBeGreaterThan(0);
    for (const { left, right, thin, sums } of cases) {
      expect(right).toBe(0);
      expect(thin).toBeLessThanOrEqual(left * (1 + 1e-9));
      for (const sum of sums) expect(sum.right).toBeLessThanOrEqual(sum.left * (1 + 1e-9));
    }
  });

  it('sums say nothing of any weight but the last, on neither network, at any k', () => {
    for (const cases of [mlp, cnn[1], cnn[32]]) {
      for (const [block, weight] of [
        [1, 2],
        [1, 3],
        [2, 3],
      ]) {
        expect(said(of(cases, block, weight)).flat()).toHaveLength(0);
      }
    }
  });

  it('mlp: of the last weight they say nothing at k = 1, and at k = 4 of half of the examples at most', () => {
    const counts = [1, 2, 3].map((block) => said(of(mlp, block, 4)).map(({ length }) => length));
    expect(counts).toEqual([
      [0, 0, 1, 14],
      [0, 0, 11, 50],
      [0, 3, 44, 96],
    ]);
    const ratios = said(of(mlp, 3, 4))[3].map(({ left, right }) => left / right);
    expect(median(ratios)).toBeCloseTo(5.83, 2);
  });

  it('cnn: as tanh has no slope of 0 they say something from k = 1, until units saturate', () => {
    for (const block of [1, 2, 3]) {
      const found = said(of(cnn[1], block, 4));
      expect(found.map(({ length }) => length)).toEqual([192, 192, 192, 192]);
      const middle = median(found[0].map(({ left, right }) => left / right));
      expect(middle).toBeCloseTo([5.632, 3.121, 1.034][block - 1], 3);
    }
    const found = said(of(cnn[32], 3, 4));
    // What counts as 0 of slopes that are nearly so is decided by the last bits of a tanh.
    found.forEach(({ length }, k) => {
      expect(Math.abs(length - [3, 16, 40, 96][k])).toBeLessThan(4);
    });
    for (const { left, right } of found[0]) expect(left / right).toBeGreaterThan(1e8);
  });

  it('both sides are of one degree in the weights: on the MLP their ratios are the same at every σ_max', () => {
    const raised = casesOf('mlp', 32, [1]);
    mlp.slice(0, raised.length).forEach(({ sums }, i) => {
      sums.forEach(({ left, right }, k) => {
        const other = raised[i].sums[k];
        if (right > 0) expect(other.right / other.left / (right / left)).toBeCloseTo(1, 9);
        else expect(other.right).toBe(0);
      });
    });
  });
});

describe('Theorem 2.2', () => {
  const network = figure2Networks.transformer;
  const thinOf = (matrix: Dense) => matrix.singularValues().at(-1) ?? 0;
  /** Over the space that it acts on. */
  const leastOf = (matrix: Dense) => {
    const sigma = matrix.singularValues();
    const isFull = sigma.length === matrix.columns && sigma[sigma.length - 1] > 1e-13 * sigma[0];
    return isFull ? sigma[sigma.length - 1] : 0;
  };

  /** `Aᵀ ⊗ A`. */
  const transposedTimes = (a: Dense) => {
    const found = Dense.zeros(a.columns * a.rows, a.rows * a.columns);
    for (let i = 0; i < a.columns; i++) {
      for (let j = 0; j < a.rows; j++) {
        for (let k = 0; k < a.rows; k++) {
          for (let l = 0; l < a.columns; l++) found.row(i * a.rows + k)[j * a.columns + l] = a.at(j, i) * a.at(k, l);
        }
      }
    }
    return found;
  };

  /** `∂σ_A/∂W_Q`, a row for each share of each token. */
  function sharesBy(keys: Dense, queries: Dense, z: Dense): Dense {
    const found = Dense.zeros(4, 16);
    for (let token = 0; token < 2; token++) {
      const query = queries.transposed().row(token);
      const scores = keys.transposed().apply(query);
      const powers = scores.map((score) => Math.exp(score - Math.max(...scores)));
      const shares = powers.map((power) => power / (powers[0] + powers[1]));
      for (let k = 0; k < 2; k++) {
        for (let m = 0; m < 2; m++) {
          const slope = (k === m ? shares[k] : 0) - shares[k] * shares[m];
          for (let a = 0; a < 4; a++) {
            for (let b = 0; b < 4; b++) {
              found.row(2 * token + k)[4 * a + b] += slope * keys.at(a, m) * z.at(b, token);
            }
          }
        }
      }
    }
    return found;
  }

  /** Both sides for one example; the constants C of the paper, of which it says that they are above 0, left out. */
  async function sides(sigma: number, seed: number) {
    const data = figure2Data(network, seed, 1);
    const values: Values = withLargestSingularValue(network, figure2Weights(network, seed), sigma);
    const surface = figure2Surface(network, data);
    const hessian = await exactCurvature(surface, surface.pointOf(values));
    await surface.release();
    const norm = (row: string, column: string) => spectralNorm(blockOf(hessian, row, column));
    const outputs = await figure2Outputs(network, data, values);
    const [wq, wk, wv, wo] = ['W_Q', 'W_K', 'W_V', 'W_O'].map(
      (name) => new Dense(4, 4, values.get(name) ?? new Float64Array()),
    );
    const z = new Dense(2, 4, data.x).transposed(); // [width, tokens]
    const slope = new Dense(
      2,
      4,
      outputs.map((value, i) => (2 / outputs.length) * (value - data.y[i])),
    ).transposed();
    // η² / 4M² with η = ½, and with one layer no factor A_k.
    const passed = wo.times(wv).times(z).transposed().times(slope);
    const p = new Dense(
      1,
      4,
      passed.data.map((value) => value / 16),
    );
    const s = transposedTimes(z);
    const w2 = new Dense(4, 8, values.get('W_2') ?? new Float64Array());
    const soft = sharesBy(wk.times(z), wq.times(z), z);
    const tenth = sigma * z.top().sigma * soft.top().sigma;
    return {
      nine: { right: sigma * leastOf(p) * leastOf(s), thin: sigma * thinOf(p) * thinOf(z) ** 2 },
      twelve: sigma * leastOf(w2),
      leftOf: { W_Q: norm('W_Q', 'W_Q'), W_K: norm('W_K', 'W_K'), W_1: norm('W_1', 'W_1') },
      ten: { left: [norm('W_V', 'W_Q'), norm('W_O', 'W_Q')], right: tenth },
    };
  }

  it('(9) and (12) as printed are 0; with thin σ_min there is no constant for (9), and one is not refuted for (10)', async () => {
    const constants: number[] = [];
    const ofTen: number[] = [];
    for (const sigma of [1, 4, 8]) {
      let largest = Number.POSITIVE_INFINITY;
      for (const seed of [1, 2, 3, 4]) {
        const { nine, twelve, ten, leftOf } = await sides(sigma, seed);
        expect([nine.right, twelve]).toEqual([0, 0]);
        expect(nine.thin).toBeGreaterThan(0);
        expect(leftOf.W_1).toBeGreaterThan(0);
        for (const left of [leftOf.W_Q, leftOf.W_K]) largest = Math.min(largest, left / nine.thin);
        for (const left of ten.left) ofTen.push(left / ten.right);
      }
      constants.push(largest);
    }
    expect(constants[0]).toBeCloseTo(1.57, 2);
    expect(constants[1]).toBeLessThan(1e-14);
    expect(constants[2]).toBeLessThan(1e-60);
    expect(Math.min(...ofTen)).toBeCloseTo(0.123, 3);
  });
});
