import type { TopLevelSpec } from 'vega-lite';
import type { BestSoFar } from '../../attacks/index.js';
import { InputError } from '../../registry/index.js';
import { count, steps as inSteps, interval, magnitude, percent } from '../format/numbers.js';
import type { Table } from '../format/table.js';
import { capitalized, printable } from '../format/text.js';
import { chartConfig, keyStyle } from '../format/theme.js';
import { lineStyles } from './learning-curves.js';
import { legendColumns } from './legend-columns.js';
import { type Chart, type RenderOptions, renderChart } from './render-chart.js';
import { shareAxis } from './share-axis.js';

/** What {@link searchCurves} says of its axes. */
export interface SearchCurvesOptions {
  /** What the score is, in words; default score. */
  readonly metric?: string;
}

/**
 * The specification of {@link searchCurves}.
 *
 * @throws InputError of no curves, or a score that is no number.
 */
export function searchCurvesSpec(
  curves: readonly BestSoFar[],
  { metric = 'score', width = 560 }: SearchCurvesOptions & { width?: number } = {},
): TopLevelSpec {
  const spent = curves.flatMap(({ points }) => points.map(({ flops }) => flops)).filter((flops) => flops > 0);
  // Before the first search, which cost nothing, at the left edge; beyond the last one, so that what each ended with is seen.
  const edges = spent.length > 0 ? [Math.min(...spent) / 2, 1.2 * Math.max(...spent)] : [0.5e9, 1e9];
  const [begin, end] = edges;
  const rows = curves.flatMap(({ start, points }) =>
    [...points, ...points.slice(-1).map((last) => ({ ...last, flops: end }))].map(
      ({ flops, score, low = score, high = score }) => {
        if (!Number.isFinite(score))
          throw new InputError(`search curves: expected a score of "${start}", got ${score}`);
        return { start: printable(start), flops: Math.max(flops, begin) / 1e9, score, low, high };
      },
    ),
  );
  if (rows.length === 0) throw new InputError('search curves: expected at least one curve, got none');
  const styles = lineStyles(rows.map(({ start }) => start));
  const starts = styles.map(({ start }) => start);
  const x = {
    field: 'flops',
    type: 'quantitative' as const,
    title: 'GFLOP of all searches so far',
    scale: { type: 'log' as const, domain: edges.map((edge) => edge / 1e9), nice: false },
    axis: { format: '~s', grid: false, domain: true, ticks: true, tickCount: 5, labelOverlap: true },
  };
  const y = {
    type: 'quantitative' as const,
    title: `unauthorized ${metric}`,
    ...shareAxis(
      rows.map(({ high }) => high),
      Math.min(0, ...rows.map(({ low }) => low)),
    ),
  };
  const legend = { symbolType: 'stroke' as const, symbolOpacity: 1, columns: legendColumns(starts, width) };
  const color = {
    field: 'start',
    type: 'nominal' as const,
    scale: { domain: starts, range: styles.map(({ color: own }) => own) },
    legend,
  };
  // What is the best holds until the next search is done.
  const interpolate = 'step-after' as const;
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    usermeta: { title: 'Best attack so far over the cost of searching' },
    description: describe(curves, metric),
    config: chartConfig,
    title: { text: key(curves), ...keyStyle },
    data: { values: rows },
    width,
    height: 220,
    layer: [
      {
        mark: { type: 'area', opacity: 0.13, interpolate },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
      },
      {
        mark: { type: 'line', strokeWidth: 2, strokeCap: 'butt', strokeJoin: 'round', interpolate },
        encoding: {
          x,
          y: { ...y, field: 'score' },
          color,
          strokeDash: {
            field: 'start',
            type: 'nominal',
            scale: { domain: starts, range: styles.map(({ dash }) => (dash.length > 0 ? dash : [1, 0])) },
            legend,
          },
        },
      },
    ],
  };
}

/** What a line and a band are, in the chart itself. */
function key(curves: readonly BestSoFar[]): string[] {
  const seeds = Math.max(...curves.map((curve) => curve.seeds));
  const draws = Math.max(...curves.map((curve) => curve.draws));
  const over = draws > 1 ? `${count(draws, 'lock')} and ${count(seeds, 'seed')}` : count(seeds, 'seed');
  return [
    'Line: the best attack so far, on seeds that it was not chosen by.',
    seeds > 1 ? `Band: 95 % bootstrap interval over ${over}.` : 'One seed: no interval.',
  ];
}

function describe(curves: readonly BestSoFar[], metric: string): string {
  const sentences = curves.flatMap(({ start, points }) => {
    const last = points.at(-1);
    return last ? [`${printable(start)}: ${percent(last.score)} after ${magnitude(last.flops / 1e9, 0)} GFLOP.`] : [];
  });
  return `${capitalized(metric)} on the unauthorized task of the best attack so far over what all searches cost. ${sentences.join(' ')}`;
}

/** The numbers behind the lines: a row for each search. */
export function searchCurvesTable(curves: readonly BestSoFar[], metric = 'score'): Table {
  return {
    title: `Unauthorized ${metric} by cost of searching`,
    columns: [
      { key: 'start', header: 'starting point' },
      { key: 'steps', header: 'steps', align: 'right' },
      { key: 'flops', header: 'GFLOP', align: 'right' },
      { key: 'score', header: metric, align: 'right' },
      { key: 'best', header: 'best so far' },
    ],
    rows: curves.flatMap(({ start, points }) =>
      points.map(({ steps, flops, score, low, high, attack, optimizer }) => ({
        start: printable(start),
        steps: inSteps(Math.round(steps)),
        flops: magnitude(flops / 1e9, 1),
        score: `${percent(score)}${low === undefined || high === undefined ? '' : ` (${interval(100 * low, 100 * high)})`}`,
        best: attack === undefined ? 'no attack' : printable(`${attack}, ${optimizer}`),
      })),
    ),
    notes: [
      'Mean, and 95 % bootstrap interval over locks and seeds; cost of all searches so far, in the order of the plan.',
    ],
  };
}

/**
 * The score of the best attack so far over the cost of all searches, one line a starting point.
 *
 * @throws InputError as {@link searchCurvesSpec}
 */
export function searchCurves(
  curves: readonly BestSoFar[],
  options: SearchCurvesOptions & RenderOptions = {},
): Promise<Chart> {
  const narrow = searchCurvesSpec(curves, { ...options, width: 240 });
  return renderChart(
    searchCurvesSpec(curves, options),
    { data: searchCurvesTable(curves, options.metric), narrow },
    options,
  );
}
