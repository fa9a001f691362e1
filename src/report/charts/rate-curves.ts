import type { TopLevelSpec } from 'vega-lite';
import { meanInterval } from '../../linalg/index.js';
import { InputError } from '../../registry/index.js';
import { percent } from '../format/numbers.js';
import type { Table } from '../format/table.js';
import { printable } from '../format/text.js';
import { chartConfig, palette } from '../format/theme.js';
import { type Chart, type RenderOptions, renderChart } from './render-chart.js';
import { shareAxis } from './share-axis.js';

/** Scores of one model after training at several learning rates. */
export interface RateCurve {
  /** The model, as in "MiniLM, locked". */
  label: string;
  /** Scores, 0 to 1, one a seed, at each learning rate. */
  points: readonly { readonly rate: number; readonly scores: readonly number[] }[];
}

/** Options of {@link rateCurves}. */
export interface RateCurvesOptions {
  /** What the score is, in words. */
  metric: string;
  /** Score of guessing, drawn as a dashed line; default none. */
  guessing?: number;
}

const WIDTH = 640;
const HEIGHT = 300;

/**
 * The specification of {@link rateCurves}.
 *
 * @throws InputError for no point, a learning rate that is not positive, or a score outside 0 to 1.
 */
export function rateCurvesSpec(
  curves: readonly RateCurve[],
  { metric, guessing, width = WIDTH }: RateCurvesOptions & { width?: number },
): TopLevelSpec {
  const rows = curves.flatMap(({ label, points }) =>
    points.map(({ rate, scores }) => ({
      label: printable(label),
      rate,
      mean: meanInterval(scores).mean,
      ...rangeOf(scores),
    })),
  );
  if (rows.length === 0) throw new InputError('rate curves: expected at least one point, got none');
  for (const { label, rate, low, high } of rows) {
    if (!(rate > 0)) throw new InputError(`rate curves: expected a positive learning rate for "${label}", got ${rate}`);
    if (!(low >= 0 && high <= 1)) {
      throw new InputError(`rate curves: expected scores from 0 to 1 for "${label}", got ${low} to ${high}`);
    }
  }
  const x = {
    field: 'rate',
    type: 'quantitative' as const,
    title: 'learning rate',
    scale: { type: 'log' as const, nice: false },
    axis: { format: '.0e', grid: true, labelOverlap: true, values: [...new Set(rows.map(({ rate }) => rate))] },
  };
  const y = {
    field: 'mean',
    type: 'quantitative' as const,
    title: `${metric} after training`,
    ...shareAxis([...rows.map(({ high }) => high), guessing ?? 0]),
  };
  const color = {
    field: 'label',
    type: 'nominal' as const,
    legend: { symbolOpacity: 1, symbolSize: 80 },
    scale: {
      domain: curves.map(({ label }) => printable(label)),
      range: [palette.blue, palette.vermillion, palette.green, palette.purple, palette.amber, palette.grey].map(
        ({ light }) => light,
      ),
    },
  };
  const known = guessing === undefined ? [] : [{ guessing }];
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    usermeta: { title: `${metric} by learning rate` },
    description: rows
      .map(({ label, rate, mean }) => `${label} at ${rate.toExponential(0)}: ${percent(mean)}.`)
      .join(' '),
    config: chartConfig,
    width,
    height: HEIGHT,
    data: { values: rows },
    layer: [
      {
        data: { values: known },
        mark: { type: 'rule', color: palette.muted.light, strokeWidth: 1, strokeDash: [3, 3] },
        encoding: { y: { ...y, field: 'guessing' } },
      },
      { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y, color } },
      // Of single seeds there are none: a layer without rows has no extent.
      ...(rows.some(({ low, high }) => low < high)
        ? [
            {
              transform: [{ filter: 'datum.low < datum.high' }],
              mark: { type: 'rule' as const, strokeWidth: 2, opacity: 0.45 },
              encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
            },
          ]
        : []),
      { mark: { type: 'point', filled: true, opacity: 1, size: 60 }, encoding: { x, y, color } },
    ],
  };
}

function rangeOf(scores: readonly number[]): { low: number; high: number } {
  return { low: Math.min(...scores), high: Math.max(...scores) };
}

/** The numbers behind the curves: a row for each learning rate, a column for each model. */
function rateTable(curves: readonly RateCurve[], metric: string): Table {
  const rates = [...new Set(curves.flatMap(({ points }) => points.map(({ rate }) => rate)))].toSorted((a, b) => b - a);
  const at = ({ points }: RateCurve, rate: number) => points.find((point) => point.rate === rate)?.scores ?? [];
  return {
    title: `${metric} by learning rate`,
    columns: [
      { key: 'rate', header: 'learning rate' },
      ...curves.map(({ label }) => ({ key: `of ${label}`, header: printable(label), align: 'right' as const })),
    ],
    rows: rates.map((rate) => ({
      rate: rate.toExponential(0),
      ...Object.fromEntries(
        curves.map((curve) => {
          const scores = at(curve, rate);
          return [`of ${curve.label}`, scores.length === 0 ? '–' : percent(meanInterval(scores).mean)];
        }),
      ),
    })),
    notes: ['Mean over seeds.'],
  };
}

/**
 * Scores after training over learning rates, one line a model, from the worst to the best seed.
 *
 * @throws InputError as {@link rateCurvesSpec}
 */
export function rateCurves(
  curves: readonly RateCurve[],
  { metric, guessing, ...options }: RateCurvesOptions & RenderOptions,
): Promise<Chart> {
  const narrow = rateCurvesSpec(curves, { metric, guessing, width: 280 });
  const spec = rateCurvesSpec(curves, { metric, guessing });
  return renderChart(spec, { data: rateTable(curves, metric), narrow }, options);
}
