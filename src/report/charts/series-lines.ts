import type { TopLevelSpec } from 'vega-lite';
import { InputError } from '../../registry/index.js';
import { count, magnitude } from '../format/numbers.js';
import type { Table } from '../format/table.js';
import { printable } from '../format/text.js';
import { chartConfig, palette } from '../format/theme.js';
import { legendColumns } from './legend-columns.js';
import { type Chart, type RenderOptions, renderChart } from './render-chart.js';

/** One line: numbers above 0 at places above 0, one a seed. */
export interface SeriesLine {
  /** What it is. */
  readonly label: string;
  /** The panel that it belongs to; default one for all. */
  readonly panel?: string;
  /** Whether it is a prediction: dashed, without points; default false. */
  readonly theory?: boolean;
  /** Numbers by place; `missed`: seeds that have none. */
  readonly points: readonly { readonly x: number; readonly values: readonly number[]; readonly missed?: number }[];
}

/** What {@link seriesLines} draws. */
export interface SeriesOptions {
  /** What it shows. */
  readonly title: string;
  /** What the horizontal axis is. */
  readonly x: string;
  /** What the vertical axis is. */
  readonly y: string;
  /** A value that is marked by a dashed line; default none. */
  readonly mark?: number;
  /** All lines; those of one label have one colour in every panel. */
  readonly lines: readonly SeriesLine[];
}

/** Places on the axis that are named one by one at most. */
const mostNamed = 8;
const HEIGHT = 230;
const colors = [palette.blue, palette.vermillion, palette.green, palette.purple, palette.amber, palette.grey];

/** Means that suit logarithmic axes. */
function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/**
 * The specification of {@link seriesLines}.
 *
 * @throws InputError when there is no point, or a place or number is not above 0.
 */
export function seriesSpec(
  { title, x: xTitle, y: yTitle, mark, lines }: SeriesOptions,
  { columns = 3, width }: { columns?: number; width?: number } = {},
): TopLevelSpec {
  const rows = lines.flatMap(({ label, panel = '', theory = false, points }) =>
    points.flatMap(({ x, values }) => {
      const bad = [x, ...values].find((value) => !(value > 0 && value < Number.POSITIVE_INFINITY));
      if (bad !== undefined) {
        throw new InputError(`${title}: expected finite numbers above 0 of "${label}", got ${bad} at ${x}`);
      }
      if (values.length === 0) return [];
      const [low, high] = [Math.min(...values), Math.max(...values)];
      return [{ label: printable(label), panel: printable(panel), theory, x, y: geometricMean(values), low, high }];
    }),
  );
  if (rows.length === 0) throw new InputError(`${title}: expected at least one point, got none`);
  const panels = unique(lines.map(({ panel = '' }) => printable(panel)));
  const labels = unique(lines.map(({ label }) => printable(label)));
  const perRow = Math.min(columns, panels.length);
  const log = { type: 'log' as const, nice: false };
  const axis = { format: '~e', grid: true, labelOverlap: true, tickCount: 4 };
  // Few places are all named: powers of ten would name none of 1, 2, 4, 8.
  const places = [...new Set(rows.map((row) => row.x))].toSorted((a, b) => a - b);
  const xAxis = places.length <= mostNamed ? { ...axis, format: '~g', values: places } : axis;
  const x = { field: 'x', type: 'quantitative' as const, title: xTitle, scale: log, axis: xAxis };
  const y = { field: 'y', type: 'quantitative' as const, title: yTitle, scale: log, axis };
  const panelWidth = width ?? (perRow === 1 ? 600 : Math.floor(620 / perRow) - 40);
  const color = {
    field: 'label',
    type: 'nominal' as const,
    legend: { symbolOpacity: 1, symbolSize: 80, columns: legendColumns(labels, perRow * panelWidth, 4) },
    scale: { domain: labels, range: labels.map((_, index) => colors[index % colors.length].light) },
  };
  const rule =
    mark === undefined
      ? []
      : [
          {
            data: { values: [{}] },
            mark: { type: 'rule' as const, color: palette.muted.light, strokeWidth: 1, strokeDash: [3, 3] },
            encoding: { y: { datum: mark, type: 'quantitative' as const, scale: log } },
          },
        ];
  const plot = {
    width: panelWidth,
    height: HEIGHT,
    layer: [
      ...rule,
      // No layer filters its rows: one of a panel where it has none would have no extent.
      {
        mark: { type: 'line' as const, strokeWidth: 2 },
        encoding: {
          x,
          y,
          color,
          detail: { field: 'theory', type: 'nominal' as const },
          strokeDash: { condition: { test: 'datum.theory', value: [5, 4] }, value: [1, 0] },
        },
      },
      {
        mark: { type: 'rule' as const, strokeWidth: 2, opacity: 0.45 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
      },
      {
        mark: { type: 'point' as const, filled: true, opacity: 1 },
        encoding: { x, y, color, size: { condition: { test: 'datum.theory', value: 0 }, value: 45 } },
      },
    ],
  };
  const head = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    usermeta: { title },
    description: describe(rows, yTitle),
    config: chartConfig,
    data: { values: rows },
  };
  if (panels.length === 1) return { ...head, ...plot };
  const facet = { field: 'panel', type: 'nominal' as const, sort: panels, title: null };
  // Networks differ by orders of magnitude: each panel has a scale of its own.
  return {
    ...head,
    facet,
    columns: perRow,
    spacing: { row: 28, column: 24 },
    resolve: { scale: { y: 'independent' } },
    spec: plot,
  };
}

function describe(
  rows: readonly { label: string; panel: string; theory: boolean; x: number; y: number }[],
  yTitle: string,
): string {
  const named = rows.filter(({ theory }) => !theory);
  const lines = unique(named.map(({ label, panel }) => JSON.stringify([panel, label])));
  const sentences = lines.map((key) => {
    const [panel, label]: string[] = JSON.parse(key);
    const own = named.filter((row) => row.label === label && row.panel === panel);
    const [first, last] = [own[0], own[own.length - 1]];
    const where = panel === '' ? label : `${panel}, ${label}`;
    return `${where}: ${magnitude(first.y)} at ${magnitude(first.x)}, ${magnitude(last.y)} at ${magnitude(last.x)}.`;
  });
  return `${yTitle}. ${sentences.join(' ')}`;
}

/** The numbers behind the lines: a row for each place, a column for each line. */
export function seriesTable({ title, x: xTitle, lines }: SeriesOptions): Table {
  const places = [...new Set(lines.flatMap(({ points }) => points.map(({ x }) => x)))].toSorted((a, b) => a - b);
  const columnOf = ({ panel, label, theory }: SeriesLine) =>
    `${panel ? `${panel}: ` : ''}${label}${theory ? ', theory' : ''}`;
  return {
    title,
    columns: [
      { key: 'x', header: xTitle, align: 'right' },
      ...lines.map((line) => ({
        key: `of ${columnOf(line)}`,
        header: printable(columnOf(line)),
        align: 'right' as const,
      })),
    ],
    rows: places.map((place) => ({
      x: measured(place),
      ...Object.fromEntries(
        lines.map((line) => [`of ${columnOf(line)}`, cellOf(line.points.find(({ x }) => x === place))]),
      ),
    })),
    notes: [
      'Geometric mean over seeds, least to largest in brackets; seeds that ended at their budget are counted apart.',
    ],
  };
}

/** Three digits, whole numbers whole: steps are counted, ratios are not. */
function measured(value: number): string {
  const size = Math.abs(value);
  return magnitude(value, size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2);
}

function cellOf(point: SeriesLine['points'][number] | undefined): string {
  if (!point) return '–';
  const { values, missed = 0 } = point;
  const lost = missed > 0 ? `${count(missed, 'seed')} beyond the budget` : '';
  if (values.length === 0) return lost === '' ? '–' : lost;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const range = values.length > 1 ? ` (${measured(low)} to ${measured(high)})` : '';
  return `${measured(geometricMean(values))}${range}${lost === '' ? '' : `, ${lost}`}`;
}

/**
 * Lines over two logarithmic axes, with the range over seeds; predictions are dashed.
 *
 * @throws InputError as {@link seriesSpec}
 */
export function seriesLines(series: SeriesOptions, options: RenderOptions = {}): Promise<Chart> {
  const narrow = seriesSpec(series, { columns: 1, width: 250 });
  return renderChart(seriesSpec(series), { data: seriesTable(series), narrow }, options);
}
