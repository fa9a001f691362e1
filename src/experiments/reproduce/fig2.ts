import {
  balanced,
  type CheckedBound,
  checkBounds,
  constantLoss,
  type Figure2Name,
  figure2Data,
  figure2Names,
  figure2Networks,
  figure2Weights,
  largestSingularValuesOf,
  printedMlpBounds,
  stepsToConverge,
  type Values,
  withLargestSingularValue,
} from '../../theory/index.js';
import type { PlannedPart } from '../run/index.js';
import { kept, nothingFound } from './common.js';
import {
  type Claim,
  type Reproduction,
  type ResultPoint,
  type ResultSeries,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';

interface Settings {
  /** What σ_max of each weight matrix is set to. */
  readonly sigmas: readonly number[];
  readonly seeds: readonly number[];
  /** Steps of Adam at most. */
  readonly budget: number;
}

const settings: SettingsByScale<Settings> = {
  smoke: { sigmas: [1, 4], seeds: [1], budget: 1000 },
  small: { sigmas: [1, 2, 4, 8, 16, 32], seeds: [1, 2, 3], budget: 30_000 },
  paper: { sigmas: [1, 2, 4, 8, 16, 32, 64, 128], seeds: [1, 2, 3], budget: 300_000 },
};

const source = 'paper, Figure 2 and Theorem 2.1';
const title = 'Figure 2: steps and sharpness by the largest singular value of the weights';

/** What was measured at one σ_max with one seed. */
interface Cell {
  readonly network: Figure2Name;
  readonly sigma: number;
  readonly seed: number;
  /** Steps to converge; null: not within the budget. */
  readonly steps: number | null;
  /** The same after balancing the layers; null as well. */
  readonly balancedSteps: number | null;
  /** Whether balancing could move a weight matrix. */
  readonly moved: boolean;
  /** σ_max(H), and after balancing. */
  readonly sharpness: number;
  readonly balancedSharpness: number;
  readonly bounds: readonly CheckedBound[];
  /** Of the bound as printed, for single examples of the MLP: how many there are, say something, and are exceeded in the thin form. */
  readonly printed?: { readonly cases: number; readonly positive: number; readonly falseWhenThin: number };
}

/** The unlocked networks' σ_max, to which layers are balanced: the geometric mean over their matrices. */
function typicalSigma(network: Figure2Name, values: Values): number {
  const all = [...largestSingularValuesOf(figure2Networks[network], values).values()];
  return Math.exp(all.reduce((sum, value) => sum + Math.log(value), 0) / all.length);
}

/** A network with every σ_max set, and after balancing. */
function prepared(name: Figure2Name, sigma: number, seed: number) {
  const network = figure2Networks[name];
  const data = figure2Data(network, seed);
  const first = figure2Weights(network, seed);
  const values = withLargestSingularValue(network, first, sigma);
  const { values: even, moved } = balanced(network, values, typicalSigma(name, first));
  return { network, data, values, even, moved };
}

/** Trains from both. */
async function measureSteps(name: Figure2Name, sigma: number, seed: number, budget: number) {
  const { network, data, values, even } = prepared(name, sigma, seed);
  const target = constantLoss(data);
  const { steps = null } = await stepsToConverge(network, data, values, { target, budget });
  const { steps: balancedSteps = null } = await stepsToConverge(network, data, even, { target, budget });
  return { steps, balancedSteps };
}

/** Both sides of the bounds. */
async function measureBounds(name: Figure2Name, sigma: number, seed: number) {
  const { network, data, values, even, moved } = prepared(name, sigma, seed);
  const { sharpness, bounds } = await checkBounds(network, data, values);
  const { sharpness: balancedSharpness } = await checkBounds(network, data, even);
  const cases = name === 'mlp' ? printedMlpBounds(values, data) : [];
  return {
    network: name,
    sigma,
    seed,
    moved,
    sharpness,
    balancedSharpness,
    bounds,
    ...(cases.length > 0 && {
      printed: {
        cases: cases.length,
        positive: cases.filter(({ right }) => right > 0).length,
        falseWhenThin: cases.filter(({ left, thin }) => thin > left * (1 + 1e-9)).length,
      },
    }),
  };
}

/** Two trainings a cell, each of all its budget at most, at the pace of some steps here, and the Hessians. */
async function planned({ sigmas, seeds, budget }: Settings): Promise<PlannedPart[]> {
  const parts: PlannedPart[] = [];
  for (const name of figure2Names) {
    const network = figure2Networks[name];
    const [data, values] = [figure2Data(network, 1), figure2Weights(network, 1)];
    const timed = async (work: () => Promise<unknown>) => {
      const began = performance.now();
      await work();
      return (performance.now() - began) / 1000;
    };
    const sample = 50;
    const perStep = (await timed(() => stepsToConverge(network, data, values, { target: 0, budget: sample }))) / sample;
    const perHessian = await timed(() => checkBounds(network, data, values));
    const cells = sigmas.length * seeds.length;
    const steps = 2 * cells * budget;
    const numbers = [...values.values()].reduce((sum, { length }) => sum + length, 0);
    const bytes = 2 * 8 * numbers ** 2;
    parts.push({ name, runs: 2 * cells, steps, seconds: steps * perStep + 2 * cells * perHessian, bytes });
  }
  return parts;
}

/** `fig2`: steps and sharpness of three small networks by the largest singular value of their weights. */
export const fig2: Reproduction = {
  name: 'fig2',
  description:
    'an MLP, a CNN and a transformer whose largest singular values are set: steps to converge, and the bounds (Figure 2)',
  data: [],
  scales: scalesOf(settings),
  canSkipSweep: false,
  async run(scale, context) {
    const { sigmas, seeds, budget } = settingsOf(settings, scale);
    if (context.plan) {
      context.plan.push(...(await planned(settingsOf(settings, scale))));
      return nothingFound({ name: 'fig2', title, scale });
    }
    const began = performance.now();
    const cells: Cell[] = [];
    context.progress.begin('networks', figure2Names.length * sigmas.length * seeds.length);
    for (const name of figure2Names) {
      for (const sigma of sigmas) {
        for (const seed of seeds) {
          context.signal.throwIfAborted();
          const draw = context.seed + seed - 1;
          const id = `${name}-${sigma}-${draw}`;
          // Apart: a training may take hours.
          const { steps, balancedSteps } = await kept(context, id, () => measureSteps(name, sigma, draw, budget));
          const bounds = await kept(context, `bounds-${id}`, () => measureBounds(name, sigma, draw));
          cells.push({ ...bounds, steps, balancedSteps });
          context.progress.advance();
        }
      }
    }
    context.progress.end();
    return {
      name: 'fig2',
      title,
      scale,
      setup: [
        'MLP 4–8–8–8–4 with ReLU; CNN of two 3×3 convolutions (padding 1, 4 channels) on a 2×2 map and linear layers 16–8–4, tanh; the transformer of Appendix A.2 (sequence 2, width 4, hidden 8, one head, ReLU, η = ½, no layer norm). Xavier uniform weights, biases 0.',
        `64 Gaussian inputs of dimension 4 (two such tokens for the transformer), Gaussian targets of dimension 4 (a token), mean squared error. Every weight matrix is multiplied so that its σ_max is what the axis says.`,
        `Steps of Adam at 1e-3 on all examples until the loss is that of the best constant answer, ${budget.toLocaleString('en-US')} at most; ${seeds.length} seeds. The paper gives no such level.`,
        'Balancing: the attack "rescale", factors that leave every decision of the network, towards the σ_max that the matrices began with.',
      ],
      tables: [],
      series: seriesOf(cells, sigmas),
      utility: {},
      attacks: [],
      claims: claimsOf(cells, sigmas),
      seconds: { networks: (performance.now() - began) / 1000 },
    };
  },
};

function pointsOf(
  cells: readonly Cell[],
  sigmas: readonly number[],
  measured: (cell: Cell) => number | null,
): ResultPoint[] {
  return sigmas.map((x) => {
    const found = cells.filter(({ sigma }) => sigma === x).map(measured);
    // A network that begins at its goal takes no step: a logarithmic axis has no 0.
    const values = found.filter((value) => value !== null).map((value) => Math.max(value, 1));
    const missed = found.length - values.length;
    return { x, values, ...(missed > 0 && { missed }) };
  });
}

/** The best bound of a cell; null where all say nothing. */
function bestBound({ bounds }: Cell): number | null {
  const best = Math.max(...bounds.map(({ bound }) => bound));
  return best > 0 ? best : null;
}

function seriesOf(cells: readonly Cell[], sigmas: readonly number[]): ResultSeries[] {
  const panels = figure2Names.map((panel) => ({ panel, own: cells.filter(({ network }) => network === panel) }));
  const x = 'σ_max of each weight matrix';
  const over = ({ panel, own }: (typeof panels)[number]) => {
    const ratio = (cell: Cell) => {
      const bound = bestBound(cell);
      return bound === null ? null : cell.sharpness / bound;
    };
    const points = sigmas.map((place) => {
      const values = own.filter(({ sigma }) => sigma === place).map(ratio);
      const found = values.filter((value) => value !== null);
      return { x: place, values: found, ...(found.length < values.length && { missed: values.length - found.length }) };
    });
    return { panel, label: 'σ_max(H) / best bound', points };
  };
  const each = ({ panel, own }: (typeof panels)[number]) => {
    const pairs = new Map(own.flatMap(({ bounds }) => bounds.map(({ block, weight }) => [weight, block])));
    return [...pairs].map(([weight, block]) => ({
      panel,
      label: `${weight} in the block of ${block}`,
      points: sigmas.map((place) => {
        const values = own
          .filter(({ sigma }) => sigma === place)
          .flatMap(({ bounds }) => bounds.filter((bound) => bound.weight === weight))
          .filter(({ bound }) => bound > 0)
          .map(({ ofBlock, bound }) => ofBlock / bound);
        return { x: place, values };
      }),
    }));
  };
  return [
    {
      title: 'Steps to converge by σ_max',
      name: 'steps',
      x,
      y: 'steps',
      lines: panels.flatMap(({ panel, own }) => [
        { panel, label: 'as set', points: pointsOf(own, sigmas, ({ steps }) => steps) },
        { panel, label: 'after balancing', points: pointsOf(own, sigmas, ({ balancedSteps }) => balancedSteps) },
      ]),
    },
    {
      title: 'σ_max(H) over the best of its bounds',
      name: 'ratio',
      x,
      y: 'σ_max(H) / bound',
      mark: 1,
      lines: panels.map(over),
    },
    {
      title: 'σ_max(H), and after balancing',
      name: 'sharpness',
      x,
      y: 'σ_max(H)',
      lines: panels.flatMap(({ panel, own }) => [
        { panel, label: 'as set', points: sharpnessPoints(own, sigmas, ({ sharpness }) => sharpness) },
        { panel, label: 'after balancing', points: sharpnessPoints(own, sigmas, (cell) => cell.balancedSharpness) },
      ]),
    },
    // A chart a network: in one, the weights of all three would be more lines than there are colours.
    ...panels.flatMap((own) => {
      const lines = each(own)
        .filter(({ points }) => points.some(({ values }) => values.length > 0))
        .map(({ panel: _, ...line }) => line);
      if (lines.length === 0) return [];
      const found: ResultSeries = {
        title: `Each block over its bound: ${own.panel}`,
        name: `blocks-${own.panel}`,
        x,
        y: 'σ_max(block) / bound',
        mark: 1,
        lines,
      };
      return [found];
    }),
  ];
}

function sharpnessPoints(cells: readonly Cell[], sigmas: readonly number[], measured: (cell: Cell) => number) {
  return sigmas.map((x) => ({ x, values: cells.filter(({ sigma }) => sigma === x).map(measured) }));
}

/** Mean steps at a σ_max; infinite where a seed did not converge. */
function meanSteps(cells: readonly Cell[], sigma: number, measured: (cell: Cell) => number | null): number {
  const found = cells.filter((cell) => cell.sigma === sigma).map((cell) => measured(cell) ?? Number.POSITIVE_INFINITY);
  return found.reduce((a, b) => a + b, 0) / found.length;
}

/** How many times as many; NaN where there is nothing to compare with. */
function multiple(steps: number, base: number): number {
  return Number.isFinite(base) ? steps / base : Number.NaN;
}

function claimsOf(cells: readonly Cell[], sigmas: readonly number[]): Claim[] {
  const of = (name: Figure2Name) => cells.filter(({ network }) => network === name);
  const [low, high] = [sigmas[0], sigmas[sigmas.length - 1]];
  const times = (factor: number) => {
    if (Number.isNaN(factor)) return 'not within the budget at the least σ_max';
    return Number.isFinite(factor) ? `${factor.toFixed(1)}×` : 'beyond the budget';
  };
  const growth = figure2Names.map((name) => {
    const steps = sigmas.map((sigma) => meanSteps(of(name), sigma, (cell) => cell.steps));
    // Equal ones, and two that did not converge, are no fall.
    const rises = steps.every((value, index) => index === 0 || value >= steps[index - 1]);
    return { name, rises, factor: multiple(steps[steps.length - 1], steps[0]) };
  });
  const checked = cells.flatMap(({ bounds, sharpness }) => bounds.map((bound) => ({ ...bound, sharpness })));
  // Rounding of sums of numbers of all sizes.
  const broken = checked.filter(({ bound, ofBlock }) => bound > ofBlock * (1 + 1e-9));
  const says = checked.filter(({ bound }) => bound > 0);
  const printed = cells.flatMap((cell) => (cell.printed ? [cell.printed] : []));
  const sum = (key: 'cases' | 'positive' | 'falseWhenThin') => printed.reduce((total, each) => total + each[key], 0);
  const left = figure2Names.map((name) => {
    const own = of(name);
    const base = meanSteps(own, low, (cell) => cell.balancedSteps);
    const before = multiple(
      meanSteps(own, high, (cell) => cell.steps),
      base,
    );
    const after = multiple(
      meanSteps(own, high, (cell) => cell.balancedSteps),
      base,
    );
    const moved = own.some((cell) => cell.sigma === high && cell.moved);
    return { name, before, after, moved };
  });
  return [
    {
      text: 'The number of steps is controlled by the largest singular value of the weights: it does not fall as that rises, on all three networks.',
      source,
      verdict: growth.some(({ factor }) => Number.isNaN(factor))
        ? 'unmeasured'
        : growth.every(({ rises, factor }) => rises && factor > 1)
          ? 'holds'
          : 'fails',
      finding: growth
        .map(
          ({ name, rises, factor }) =>
            `${name}: ${times(factor)} from σ_max ${low} to ${high}${rises ? '' : ', not steadily'}`,
        )
        .join('; '),
    },
    {
      text: 'The bound by σ_max of a weight holds for its block in all cases, in the repaired form of docs/theory.md.',
      source: `${source}, repaired`,
      verdict: broken.length === 0 ? 'holds' : 'fails',
      finding: `${checked.length} bounds checked, ${broken.length} broken, ${says.length} above 0`,
    },
    {
      text: 'The bound as the proof of Theorem 2.1 prints it says something: its right side is above 0.',
      source: 'paper, Appendix A.1',
      verdict: printed.length === 0 ? 'unmeasured' : sum('positive') > sum('cases') / 2 ? 'holds' : 'fails',
      finding: `MLP, each example, block and weight alone: above 0 in ${sum('positive')} of ${sum('cases')} cases; with the least of the min(m, n) singular values in its place it is broken in ${sum('falseWhenThin')}`,
    },
    {
      text: 'Balancing the layers undoes the control of steps: at the largest σ_max, at most twice the steps of the least are left.',
      source: 'weightlock',
      verdict: left.some(({ after }) => Number.isNaN(after))
        ? 'unmeasured'
        : left.every(({ after }) => after <= 2)
          ? 'holds'
          : 'fails',
      finding: left
        .map(
          ({ name, before, after, moved }) =>
            `${name}: ${times(before)} as set, ${times(after)} after balancing${moved ? '' : ' (no factor is free)'}`,
        )
        .join('; '),
    },
  ];
}
