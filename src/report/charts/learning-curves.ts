import type { TopLevelSpec } from 'vega-lite';
import { mean } from '../../linalg/index.js';
import { InputError } from '../../registry/index.js';
import { count, percent } from '../format/numbers.js';
import { capitalized, printable } from '../format/text.js';
import { chartConfig, keyStyle, palette } from '../format/theme.js';
import { type CurveRow, curvesTable } from './chart-tables.js';
import { legendColumns } from './legend-columns.js';
import { type Chart, type RenderOptions, renderChart } from './render-chart.js';
import { shareAxis } from './share-axis.js';

/** One measurement during an attack. */
export interface CurvePoint {
  /** Optimizer steps so far. */
  step: number;
  /** Score, 0 to 1: the share of right answers. */
  score: number;
}

/** One run of an attack: score on the unauthorized task (0 to 1) after so many optimizer steps. */
export interface LearningCurve {
  /** The attack; each gets a panel. */
  attack: string;
  /** What the attack starts from; each gets a line. `unlocked`, `locked` and `random weights` have colours of their own. */
  start: string;
  /** Seed of the run; runs that differ in nothing else become one line. */
  seed: number;
  /** Measurements in any order. */
  points: readonly CurvePoint[];
}

/** Options of `learningCurves`. */
export interface LearningCurvesOptions {
  /** The score that counts as success; default 0.95, `null` for no line. */
  target?: number | null;
  /** What the score is, in words; default score. */
  metric?: string;
  /** Default `log`, on which the same slowdown is the same distance everywhere; a point at step 0 then has no place. */
  stepScale?: 'log' | 'linear';
  /** Panels in a row; default 3 where that fills the rows, else 2. */
  columns?: number;
  /** How many lines beside unlocked, locked and random weights are drawn of each model (what stands before a comma), the best ones; default 1. */
  others?: number;
}

interface LineStyle {
  color: string;
  dash: number[];
}

/** Colour and dash say the same thing twice, for print and for eyes that see no colour. */
const KNOWN: Record<string, LineStyle> = {
  unlocked: { color: palette.blue.light, dash: [] },
  locked: { color: palette.vermillion.light, dash: [] },
  'random weights': { color: palette.grey.light, dash: [2, 3] },
};
const SPARE: LineStyle[] = [
  { color: palette.green.light, dash: [7, 3] },
  { color: palette.purple.light, dash: [10, 3, 2, 3] },
  { color: palette.amber.light, dash: [4, 2] },
  { color: palette.ink.light, dash: [1, 2] },
];

function unique(values: Iterable<string>): string[] {
  return [...new Set(values)];
}

/** Styles of what is drawn: by the place among all, so that two charts of a page agree, and none twice. */
function stylesOf(shown: readonly string[], all: readonly string[]): LineStyle[] {
  const others = all.filter((start) => !Object.hasOwn(KNOWN, start));
  const free = [...SPARE];
  return shown.map((start) => {
    if (Object.hasOwn(KNOWN, start)) return KNOWN[start];
    const wanted = SPARE[others.indexOf(start) % SPARE.length];
    const [style] = free.splice(Math.max(0, free.indexOf(wanted)), 1);
    // More lines than styles are asked for by `others` alone.
    return style ?? wanted;
  });
}

/** Starting points in the order of charts, with colour and dash: those that are known have their own. */
export function lineStyles(starts: readonly string[]): (LineStyle & { start: string })[] {
  const present = unique(starts);
  const known = Object.keys(KNOWN).filter((start) => present.includes(start));
  const ordered = [...known, ...present.filter((start) => !Object.hasOwn(KNOWN, start))];
  return stylesOf(ordered, ordered).map((style, index) => ({ ...style, start: ordered[index] }));
}

/**
 * The starting points that are drawn: the known ones and the best of the others of each model (by the mean accuracy over the steps,
 * in the panel where that is highest), since more lines than these hide one another.
 */
function drawn(rows: readonly CurveRow[], starts: readonly string[], others: number): string[] {
  const merit = (start: string): number => {
    const panels = new Map<string, number[]>();
    for (const row of rows.filter((each) => each.start === start)) {
      panels.set(row.attack, [...(panels.get(row.attack) ?? []), row.mean]);
    }
    return Math.max(...[...panels.values()].map((means) => mean(means)));
  };
  const modelOf = (start: string) => start.split(',', 1)[0];
  const ranked = starts
    .filter((start) => !Object.hasOwn(KNOWN, start))
    .map((start) => ({ start, merit: merit(start) }))
    .sort((a, b) => b.merit - a.merit)
    .map(({ start }) => start);
  const best = unique(ranked.map(modelOf)).flatMap((model) =>
    ranked.filter((start) => modelOf(start) === model).slice(0, others),
  );
  return starts.filter((start) => Object.hasOwn(KNOWN, start) || best.includes(start));
}

/** Mean, least and greatest accuracy over the seeds of one line, at the steps that every seed measured. */
function aggregate(curves: readonly LearningCurve[], usable: (step: number) => boolean): CurveRow[] {
  const { attack, start } = curves[0];
  const bySeed = curves.map(({ points }) => new Map(points.map(({ step, score }) => [step, score])));
  const steps = [...bySeed[0].keys()].filter((step) => usable(step) && bySeed.every((seed) => seed.has(step)));
  if (steps.length === 0) {
    throw new InputError(
      `learning curves: expected a step that all ${curves.length} seeds of "${start}" under "${attack}" measured, got none`,
    );
  }
  return steps
    .toSorted((a, b) => a - b)
    .map((step) => {
      const values = bySeed.map((seed) => seed.get(step) ?? Number.NaN);
      const center = mean(values);
      return {
        attack,
        start,
        step,
        mean: center,
        low: Math.min(...values),
        high: Math.max(...values),
        seeds: values.length,
      };
    });
}

function describe(
  rows: readonly CurveRow[],
  attacks: readonly string[],
  starts: readonly string[],
  metric: string,
): string {
  const sentences = attacks.map((attack) => {
    const ends = starts.flatMap((start) => {
      const last = rows.findLast((row) => row.attack === attack && row.start === start);
      return last ? [`${start} ${percent(last.mean)} after ${last.step} steps (n = ${last.seeds})`] : [];
    });
    return `${attack}: ${ends.join(', ')}.`;
  });
  return `${capitalized(metric)} on the unauthorized task over optimizer steps, mean and range over seeds. ${sentences.join(' ')}`;
}

/** The points of all lines, checked, and the attacks and starting points in the order of the chart. */
function linesOf(
  curves: readonly LearningCurve[],
  stepScale: 'log' | 'linear',
): { rows: CurveRow[]; attacks: string[]; starts: string[] } {
  if (curves.length === 0) throw new InputError('learning curves: expected at least one curve, got none');
  const named = curves.map((c) => ({ ...c, attack: printable(c.attack), start: printable(c.start) }));
  for (const { attack, start, seed, points } of named) {
    const bad = points.find(({ score }) => !(score >= 0 && score <= 1));
    if (bad) {
      throw new InputError(
        `learning curves: expected a score from 0 to 1, got ${bad.score} at step ${bad.step} of "${start}" under "${attack}", seed ${seed}`,
      );
    }
  }
  const attacks = unique(named.map(({ attack }) => attack));
  const present = unique(named.map(({ start }) => start));
  const starts = [
    ...Object.keys(KNOWN).filter((start) => present.includes(start)),
    ...present.filter((start) => !Object.hasOwn(KNOWN, start)),
  ];
  const rows = attacks.flatMap((attack) =>
    starts.flatMap((start) => {
      const line = named.filter((curve) => curve.attack === attack && curve.start === start);
      return line.length === 0 ? [] : aggregate(line, (step) => stepScale === 'linear' || step > 0);
    }),
  );
  return { rows, attacks, starts };
}

/** What a line and a band are, in the chart itself. */
function key(rows: readonly CurveRow[], hidden: number): string[] {
  const seeds = unique(rows.map((row) => String(row.seeds))).map(Number);
  const most = Math.max(...seeds);
  const lines = [
    most === 1
      ? 'Line: one seed.'
      : `Line: mean of ${seeds.length === 1 ? '' : 'up to '}${count(most, 'seed')}. Band: worst to best seed.`,
  ];
  if (hidden > 0) lines.push(`Not drawn: ${count(hidden, 'weaker attack')}, in the table.`);
  return lines;
}

/**
 * The specification of `learningCurves`, with the drawn means and ranges as its data.
 *
 * @throws InputError when there is no curve, no step common to all seeds of a line, or a score outside 0 to 1
 */
export function learningCurvesSpec(
  curves: readonly LearningCurve[],
  {
    target = 0.95,
    metric = 'score',
    stepScale = 'log',
    columns,
    others = 1,
    panelWidth,
  }: LearningCurvesOptions & { panelWidth?: number } = {},
): TopLevelSpec {
  const lines = linesOf(curves, stepScale);
  const { attacks } = lines;
  const starts = drawn(lines.rows, lines.starts, others);
  const rows = lines.rows.filter(({ start }) => starts.includes(start));
  const styles = stylesOf(starts, lines.starts);
  // A line through a single step has no length: show where it is.
  const ends = new Map<string, number>();
  for (const { attack, start } of rows) {
    const line = JSON.stringify([attack, start]);
    ends.set(line, (ends.get(line) ?? 0) + 1);
  }
  const dots = [...ends.values()].includes(1) ? { size: 36 } : false;
  const perRow = Math.min(columns ?? (attacks.length % 3 === 0 ? 3 : 2), attacks.length);
  const width = panelWidth ?? (perRow === 1 ? 560 : Math.floor(640 / perRow));
  const gap = 32;
  const legend = {
    symbolType: 'stroke' as const,
    symbolOpacity: 1,
    columns: legendColumns(starts, perRow * (width + gap)),
  };
  const step = {
    field: 'step',
    type: 'quantitative' as const,
    title: 'optimizer steps',
    scale: stepScale === 'log' ? { type: 'log' as const, nice: false } : { type: 'linear' as const, nice: false },
    axis: { format: '~s', grid: false, domain: true, ticks: true, tickCount: 5, labelOverlap: true },
  };
  const score = {
    type: 'quantitative' as const,
    title: `unauthorized ${metric}`,
    ...shareAxis([...rows.map(({ high }) => high), target ?? 0]),
  };
  const color = {
    field: 'start',
    type: 'nominal' as const,
    scale: { domain: starts, range: styles.map((style) => style.color) },
    legend,
  };
  // A layer without data of its own draws its mark once for each row of the data.
  const once = { values: [{}] };
  const goal =
    target === null
      ? []
      : [
          {
            data: once,
            mark: { type: 'rule' as const, color: palette.ink.light, strokeWidth: 1, strokeDash: [3, 3], opacity: 0.7 },
            encoding: { y: { datum: target } },
          },
          {
            data: once,
            // Beside the plot, where no curve can strike it through.
            mark: {
              type: 'text' as const,
              align: 'left' as const,
              baseline: 'middle' as const,
              color: palette.muted.light,
              dx: 5,
              fontSize: 11,
              text: ['target', percent(target, Number.isInteger(Math.round(target * 1e6) / 1e4) ? 0 : 1)],
            },
            encoding: { y: { datum: target }, x: { value: width } },
          },
        ];
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    usermeta: { title: 'Learning curves of the attacks' },
    description: describe(rows, attacks, starts, metric),
    config: chartConfig,
    title: { text: key(rows, lines.starts.length - starts.length), ...keyStyle },
    data: { values: rows },
    facet: { field: 'attack', type: 'nominal', sort: attacks, header: { labelLimit: width } },
    columns: perRow,
    spacing: { row: 28, column: gap },
    spec: {
      width,
      height: 200,
      layer: [
        ...goal,
        {
          mark: { type: 'area', opacity: 0.13 },
          encoding: {
            x: step,
            y: { ...score, field: 'low' },
            y2: { field: 'high' },
            color,
          },
        },
        {
          mark: { type: 'line', strokeWidth: 2, strokeCap: 'butt', strokeJoin: 'round', point: dots },
          encoding: {
            x: step,
            y: { ...score, field: 'mean' },
            color,
            strokeDash: {
              field: 'start',
              type: 'nominal',
              scale: { domain: starts, range: styles.map((style) => (style.dash.length ? style.dash : [1, 0])) },
              legend,
            },
          },
        },
      ],
    },
  };
}

/**
 * Unauthorized accuracy over optimizer steps: one panel an attack, one line a starting point (the mean over seeds, at
 * the steps that every seed measured), a band from the worst to the best seed, and the target.
 *
 * @throws InputError as `learningCurvesSpec`
 */
export function learningCurves(
  curves: readonly LearningCurve[],
  options: LearningCurvesOptions & RenderOptions = {},
): Promise<Chart> {
  const { rows, starts } = linesOf(curves, options.stepScale ?? 'log');
  const narrow = learningCurvesSpec(curves, { ...options, columns: 1, panelWidth: 225 });
  return renderChart(
    learningCurvesSpec(curves, options),
    { data: curvesTable(rows, starts, options.metric ?? 'score'), narrow },
    options,
  );
}
