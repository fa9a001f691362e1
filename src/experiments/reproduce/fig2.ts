import { type Figure2Name, figure2Names } from '../../theory/index.js';
import { counted } from './claims.js';
import { nothingFound } from './common.js';
import {
  type Cell,
  type Figure2Settings,
  type Form,
  forms,
  measuredCell,
  type Printed,
  plannedCells,
} from './fig2-cells.js';
import {
  type Claim,
  type Reproduction,
  type ResultPoint,
  type ResultSeries,
  type SettingsByScale,
  scalesOf,
  settingsOf,
} from './reproduction.js';

const settings: SettingsByScale<Figure2Settings> = {
  smoke: { sigmas: [1, 4], seeds: [1], budget: 1000 },
  small: { sigmas: [1, 2, 4, 8, 16, 32], seeds: [1, 2, 3], budget: 30_000 },
  paper: { sigmas: [1, 2, 4, 8, 16, 32, 64, 128], seeds: [1, 2, 3], budget: 300_000 },
};

const source = 'paper, Figure 2 and Theorem 2.1';
const title = 'Figure 2: steps and sharpness by the largest singular value of the weights';

/** What they are called. */
const labels: Readonly<Record<Form, string>> = {
  set: 'as set',
  balanced: 'balanced, outputs kept',
  rescaled: 'rescaled, outputs scaled',
};

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
      context.plan.parts.push(...(await plannedCells(settingsOf(settings, scale))));
      return nothingFound({ name: 'fig2', title, scale });
    }
    const began = performance.now();
    const cells: Cell[] = [];
    context.progress.begin('networks', figure2Names.length * sigmas.length * seeds.length);
    for (const name of figure2Names) {
      for (const sigma of sigmas) {
        for (const seed of seeds) {
          context.signal.throwIfAborted();
          cells.push(await measuredCell(context, { network: name, sigma, seed: context.seed + seed - 1, budget }));
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
        `Steps of Adam at 1e-3 on all examples until the loss is that of the best constant answer, ${budget.toLocaleString('en-US')} at most; ${counted(seeds.length, 'seed')}. The paper gives no such level.`,
        'Balanced, outputs kept: of all ways to write the network with positive factors at ReLU units (those of whole layers with a product of 1 among them) and with any matrix between queries and keys or values and outputs, that with the shortest weights. Every output stays. Behind tanh nothing is free.',
        'Rescaled, outputs scaled: the attack "rescale" towards the σ_max that the matrices began with. Of the MLP all layers are free, of the CNN the last one, of the transformer, where pairs have one σ_max, none. All outputs are multiplied by one factor: a classifier keeps its decisions by that, these regressors do not keep their function.',
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
      return bound === null ? null : cell.by.set.sharpness / bound;
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
      lines: panels.flatMap(({ panel, own }) =>
        forms.map((form) => ({
          ...{ panel, label: labels[form] },
          points: pointsOf(own, sigmas, ({ by }) => by[form].steps),
        })),
      ),
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
      title: 'σ_max(H) of the same networks',
      name: 'sharpness',
      x,
      y: 'σ_max(H)',
      lines: panels.flatMap(({ panel, own }) =>
        forms.map((form) => ({
          ...{ panel, label: labels[form] },
          points: allPoints(own, sigmas, ({ by }) => by[form].sharpness),
        })),
      ),
    },
    {
      title: 'What rescaling multiplies the outputs by',
      name: 'outputs',
      x,
      y: 'factor of the outputs',
      mark: 1,
      lines: panels.map(({ panel, own }) => ({
        ...{ panel, label: labels.rescaled },
        points: allPoints(own, sigmas, ({ by }) => by.rescaled.factor),
      })),
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

function allPoints(cells: readonly Cell[], sigmas: readonly number[], measured: (cell: Cell) => number) {
  return sigmas.map((x) => ({ x, values: cells.filter(({ sigma }) => sigma === x).map(measured) }));
}

/** Mean steps at a σ_max; infinite where a seed did not converge. */
function meanSteps(cells: readonly Cell[], sigma: number, form: Form): number {
  const found = cells
    .filter((cell) => cell.sigma === sigma)
    .map(({ by }) => by[form].steps ?? Number.POSITIVE_INFINITY);
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
    const steps = sigmas.map((sigma) => meanSteps(of(name), sigma, 'set'));
    // Equal ones, and two that did not converge, are no fall.
    const rises = steps.every((value, index) => index === 0 || value >= steps[index - 1]);
    return { name, rises, factor: multiple(steps[steps.length - 1], steps[0]) };
  });
  const checked = cells.flatMap(({ bounds }) => bounds);
  // Rounding of sums of numbers of all sizes.
  const broken = checked.filter(({ bound, ofBlock }) => bound > ofBlock * (1 + 1e-9));
  const says = checked.filter(({ bound }) => bound > 0);
  const printed = (['mlp', 'cnn'] as const).map((name) => {
    const own = of(name).flatMap((cell) => (cell.printed ? [cell.printed] : []));
    const sum = (count: (each: Printed) => number) => own.reduce((total, each) => total + count(each), 0);
    const sums = (own[0]?.sums ?? []).map((_, k) => sum((each) => each.sums[k]));
    return {
      ...{ name, sums, cases: sum(({ cases }) => cases), positive: sum(({ positive }) => positive) },
      falseWhenThin: sum((each) => each.falseWhenThin),
      falseSums: sum((each) => each.falseSums),
    };
  });
  const saysInMost = (share: (of: (typeof printed)[number]) => number) =>
    printed.every((each) => share(each) > each.cases / 2) ? 'holds' : 'fails';
  /** What is left of the slowdown in a form, beside the least steps that it has. */
  const left = (form: Form) =>
    figure2Names.map((name) => {
      const own = of(name);
      const base = meanSteps(own, low, form);
      const [before, after] = [meanSteps(own, high, 'set'), meanSteps(own, high, form)];
      const atHigh = own.filter(({ sigma }) => sigma === high).map(({ by }) => by[form]);
      return {
        name,
        before: multiple(before, meanSteps(own, low, 'set')),
        after: multiple(after, base),
        moved: atHigh.some(({ moved }) => moved),
        outputs: own.map(({ by }) => by[form].apart),
        factors: atHigh.map(({ factor }) => factor),
      };
    });
  const undone = (form: Form) => {
    const found = left(form);
    if (found.some(({ after }) => Number.isNaN(after))) return 'unmeasured';
    return found.every(({ after }) => after <= 2) ? 'holds' : 'fails';
  };
  const inWords = (form: Form, outputs: (found: ReturnType<typeof left>[number]) => string) =>
    left(form)
      .map((found) => {
        const { name, before, after, moved } = found;
        return `${name}: ${times(before)} as set, ${times(after)} ${form}${moved ? outputs(found) : ' (nothing is free)'}`;
      })
      .join('; ');
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
      verdict: saysInMost(({ positive }) => positive),
      finding: printed
        .map(
          ({ name, cases, positive, falseWhenThin }) =>
            `${name}, each example, block and weight alone: above 0 in ${positive} of ${cases} cases; with the least of the min(m, n) singular values in its place it is broken in ${falseWhenThin}`,
        )
        .join('; '),
    },
    {
      text: 'With sums of the k largest singular values, as Remark A.3 has it, it says something.',
      source: 'paper, Remark A.3',
      verdict: saysInMost(({ sums }) => Math.max(...sums)),
      finding: printed
        .map(
          ({ name, cases, sums, falseSums }) =>
            `${name}: above 0 in ${sums.join(', ')} of ${cases} cases at k = ${sums.map((_, k) => k + 1).join(', ')}, broken in ${falseSums}`,
        )
        .join('; '),
    },
    {
      text: 'Balancing that keeps every output undoes the control of steps: at the largest σ_max, at most twice the steps of the least are left.',
      source: 'weightlock',
      verdict: undone('balanced'),
      finding: inWords('balanced', ({ outputs }) => `, outputs apart by ${Math.max(...outputs).toExponential(0)}`),
    },
    {
      text: 'Rescaling that changes the scale of the outputs, which no decision of a classifier depends on but all of a regressor does, undoes it.',
      source: 'weightlock',
      verdict: undone('rescaled'),
      finding: inWords(
        'rescaled',
        ({ factors }) =>
          `, outputs times ${Math.min(...factors).toPrecision(2)} to ${Math.max(...factors).toPrecision(2)}`,
      ),
    },
  ];
}
