import {
  gaussianQuadratic,
  largestStableRate,
  type MethodEntry,
  minimize,
  type Quadratic,
  quadraticMethods,
  stepsAt,
} from '../../theory/index.js';
import type { PlannedPart } from '../run/index.js';
import { nothingFound } from './common.js';
import {
  type Claim,
  type Reproduction,
  type ResultPoint,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';

interface Settings {
  /** Condition numbers. */
  readonly kappas: readonly number[];
  readonly seeds: number;
  readonly budget: number;
  /** Learning rates of Adam for each decade. */
  readonly perDecade: number;
}

const decades = (to: number) => Array.from({ length: 2 * to + 1 }, (_, index) => 10 ** (index / 2));

const settings: SettingsByScale<Settings> = {
  smoke: { kappas: [1, 10, 100, 1000], seeds: 1, budget: 20_000, perDecade: 2 },
  small: { kappas: decades(6), seeds: 3, budget: 10_000_000, perDecade: 2 },
  paper: { kappas: decades(6), seeds: 10, budget: 20_000_000, perDecade: 4 },
};

/** Distance to the minimum at which a run has converged, of what it was. */
const tolerance = 1e-4;
/** Condition number from which asymptotic rates describe runs. */
const asymptotic = 100;
/** Adam's budget: a rate that needs more is not its best. */
const adamBudget = 200_000;
const source = 'paper, Section 2 and Figure 1';
const title = 'Figure 1: steps on a quadratic by its condition number';
/** Largest κ at which the limits of learning rates are measured: near one, a run shows only after κ steps that it diverges. */
const largestForLimit = 1000;
/** Steps of a run that shows whether a rate diverges, and how many rates are tried. */
const limitRun = { budget: 20_000, rates: 14 };

/** What a method did at one κ. */
interface Cell {
  readonly kappa: number;
  readonly steps: (number | undefined)[];
}

/** Adam's fewest steps over learning rates: it has no rate beyond which it diverges. */
function bestOfAdam(quadratic: Quadratic, { create }: MethodEntry, budget: number, perDecade: number) {
  let best: number | undefined;
  for (let index = -3 * perDecade; index <= perDecade; index++) {
    const run = minimize(quadratic, create(10 ** (index / perDecade), quadratic.size), {
      tolerance,
      budget: Math.min(best ?? budget, adamBudget),
    });
    if (run.steps !== undefined) best = Math.min(best ?? run.steps, run.steps);
  }
  return best;
}

/** Measured limit over the theoretical one. */
function limitRatio(quadratic: Quadratic, { create, limit }: MethodEntry): number | undefined {
  const expected = limit?.(quadratic.least, quadratic.largest);
  if (expected === undefined) return undefined;
  return (
    largestStableRate(quadratic, (rate) => create(rate, quadratic.size), {
      low: expected / 4,
      high: expected * 4,
      budget: limitRun.budget,
    }) / expected
  );
}

/** Steps of all runs at most, at the pace of gradient descent here. */
function planned({ kappas, seeds, budget, perDecade }: Settings): PlannedPart {
  const rates = 4 * perDecade + 1;
  let [runs, steps] = [0, 0];
  for (const kappa of kappas) {
    for (const { contraction, limit } of quadraticMethods(kappa)) {
      runs += seeds * (contraction ? 1 : rates);
      steps +=
        seeds * (contraction ? Math.min(budget, 2 * stepsAt(contraction(kappa), tolerance)) : rates * adamBudget);
      if (limit && kappa > 1 && kappa <= largestForLimit) {
        runs += limitRun.rates;
        steps += limitRun.rates * limitRun.budget;
      }
    }
  }
  const sample = 2000;
  const began = performance.now();
  const quadratic = gaussianQuadratic(1e6);
  const [{ create }] = quadraticMethods(1e6);
  minimize(quadratic, create(1e-7, quadratic.size), { tolerance: 0, budget: sample });
  const pace = (performance.now() - began) / 1000 / sample;
  return { name: 'quadratics', runs, steps: Math.round(steps), seconds: pace * steps, bytes: 8 * quadratic.size ** 2 };
}

const pointOf = ({ kappa, steps }: Cell): ResultPoint => {
  const values = steps.filter((each) => each !== undefined);
  const missed = steps.length - values.length;
  return { x: kappa, values, ...(missed > 0 && { missed }) };
};

/** Slope of log steps over log κ, from the least κ on. */
function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const used = points.filter(({ x }) => x >= asymptotic);
  const [xs, ys] = [used.map(({ x }) => Math.log(x)), used.map(({ y }) => Math.log(y))];
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [mx, my] = [mean(xs), mean(ys)];
  let [above, below] = [0, 0];
  xs.forEach((x, i) => {
    above += (x - mx) * (ys[i] - my);
    below += (x - mx) ** 2;
  });
  return above / below;
}

/** `fig1`: first-order methods on a quadratic, by its condition number. */
export const fig1: Reproduction = {
  name: 'fig1',
  description: 'gradient descent, heavy ball, Nesterov and Adam on quadratics of condition numbers 1 to 1e6 (Figure 1)',
  data: [],
  scales: scalesOf(settings),
  canSkipSweep: false,
  async run(scale, { seed, signal, progress, plan }) {
    const { kappas, seeds, budget, perDecade } = settingsOf(settings, scale);
    if (plan) {
      plan.parts.push(planned(settingsOf(settings, scale)));
      return nothingFound({ name: 'fig1', title, scale });
    }
    const began = performance.now();
    const cells = new Map<string, Cell[]>();
    const ratios: number[] = [];
    progress.begin('quadratics', kappas.length);
    for (const kappa of kappas) {
      for (const entry of quadraticMethods(kappa)) {
        const steps: (number | undefined)[] = [];
        for (let draw = 0; draw < seeds; draw++) {
          signal.throwIfAborted();
          const quadratic = gaussianQuadratic(kappa, { seed: seed + draw });
          const rate = entry.rate?.(quadratic.least, quadratic.largest);
          if (rate === undefined) steps.push(bestOfAdam(quadratic, entry, budget, perDecade));
          else steps.push(minimize(quadratic, entry.create(rate, quadratic.size), { tolerance, budget }).steps);
          if (draw === 0 && kappa > 1 && kappa <= largestForLimit) {
            const ratio = limitRatio(quadratic, entry);
            if (ratio !== undefined) ratios.push(ratio);
          }
          // Long loops without a pause would keep an interrupt waiting.
          await new Promise((resolve) => setImmediate(resolve));
        }
        cells.set(entry.name, [...(cells.get(entry.name) ?? []), { kappa, steps }]);
      }
      progress.advance();
    }
    progress.end();
    const theory = new Map(
      quadraticMethods(10).flatMap(({ name, contraction }) => (contraction ? [[name, contraction]] : [])),
    );
    const names = [...cells.keys()];
    const measured = (name: string) => (cells.get(name) ?? []).map(pointOf);
    const lines = [
      ...names.map((label) => ({ label, points: measured(label) })),
      ...names.flatMap((label) => {
        const contraction = theory.get(label);
        if (!contraction) return [];
        const points = kappas.map((x) => ({ x, values: [stepsAt(contraction(x), tolerance)] }));
        return [{ label, theory: true, points }];
      }),
    ];
    return {
      name: 'fig1',
      title,
      scale,
      setup: [
        `½ θᵀHθ in 20 dimensions, H = XᵀX of Gaussian features whose spectrum is stretched to eigenvalues from 1 to κ; ${seeds} draws, float64.`,
        `Steps until |θ| is ${tolerance} of what it was, ${budget.toLocaleString('en-US')} at most. Gradient descent at 2 / (L + μ), one part of κ + 1 below the rate 2 / L beyond which it diverges; heavy ball and Nesterov with their best rates and momenta (4 / (√L + √μ)², 4 / (3L + μ)); Adam, which has no such limit, at the best of ${4 * perDecade + 1} rates from 1e-3 to 10.`,
      ],
      tables: [],
      series: [{ title: 'Steps by κ', name: 'steps', x: 'κ = σ_max(H), σ_min(H) = 1', y: 'steps', lines }],
      utility: {},
      attacks: [],
      claims: claimsOf(cells, theory, ratios, names),
      seconds: { quadratics: (performance.now() - began) / 1000 },
    };
  },
};

function claimsOf(
  cells: ReadonlyMap<string, readonly Cell[]>,
  theory: ReadonlyMap<string, (kappa: number) => number>,
  ratios: readonly number[],
  names: readonly string[],
): Claim[] {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const curve = (name: string) =>
    (cells.get(name) ?? [])
      .map(pointOf)
      .flatMap(({ x, values }) => (values.length > 0 ? [{ x, y: mean(values) }] : []));
  const grows = names.every((name) => {
    const points = curve(name);
    return points.length === (cells.get(name) ?? []).length && points[points.length - 1].y > points[0].y;
  });
  const ends = names.map((name) => {
    const points = curve(name);
    return `${name} ${Math.round(points[0].y)} to ${Math.round(points[points.length - 1].y).toLocaleString('en-US')} (from κ = ${asymptotic} on as κ to the power ${slopeOf(points).toFixed(2)})`;
  });
  const slopes = [...theory].map(([name, contraction]) => {
    const points = curve(name).filter(({ x }) => x >= asymptotic);
    const expected = points.map(({ x }) => ({ x, y: stepsAt(contraction(x), tolerance) }));
    const off = points.map(({ x, y }) => Math.abs(Math.log(y / stepsAt(contraction(x), tolerance))));
    return { name, measured: slopeOf(points), expected: slopeOf(expected), off: Math.exp(Math.max(...off)) };
  });
  return [
    {
      text: 'Every method takes more steps at the largest condition number than at the least.',
      source,
      verdict: grows ? 'holds' : 'fails',
      finding: `steps from the least to the largest κ: ${ends.join(', ')}`,
    },
    {
      text: 'They grow as theory says: as κ for gradient descent, as √κ for heavy ball and Nesterov.',
      source: 'paper, Section 2; Polyak 1964, Lessard et al. 2016',
      verdict: slopes.every(({ measured, expected }) => Math.abs(measured - expected) < 0.15) ? 'holds' : 'fails',
      finding: slopes
        .map(
          ({ name, measured, expected, off }) =>
            `${name}: power ${measured.toFixed(2)}, expected ${expected.toFixed(2)}, at most a factor of ${off.toFixed(2)} from theory`,
        )
        .join('; '),
    },
    {
      text: 'A larger σ_max lowers the largest learning rate that does not diverge in proportion: 2 / σ_max for gradient descent.',
      source,
      verdict:
        ratios.length === 0 ? 'unmeasured' : ratios.every((ratio) => Math.abs(ratio - 1) < 0.02) ? 'holds' : 'fails',
      finding: `measured limit over that of theory: ${Math.min(...ratios).toFixed(4)} to ${Math.max(...ratios).toFixed(4)} (${ratios.length} cases of three methods)`,
    },
  ];
}
