import type { TopLevelSpec } from 'vega-lite';
import { InputError } from '../../registry/index.js';
import { percent } from '../format/numbers.js';
import type { Table } from '../format/table.js';
import { printable } from '../format/text.js';
import { chartConfig, palette } from '../format/theme.js';
import { type Chart, type RenderOptions, renderChart } from './render-chart.js';

/** What was foreseen of one thing, and what it came to. */
export interface ScatterPair {
  /** The panel that it belongs to. */
  readonly panel: string;
  /** Its colour. */
  readonly label: string;
  /** Its shape. */
  readonly form: string;
  /** Above 0; null: none within the budget. */
  readonly predicted: number | null;
  /** Above 0; null: none within the budget. */
  readonly measured: number | null;
}

/** What {@link scatter} draws. */
export interface ScatterOptions {
  /** What it shows. */
  readonly title: string;
  /** What is foreseen and measured. */
  readonly quantity: string;
  /** Factor either way that is marked beside the diagonal. */
  readonly within: number;
  /** All pairs; those that lack a number are only counted, in the table. */
  readonly pairs: readonly ScatterPair[];
}

const colors = [palette.blue, palette.vermillion, palette.green, palette.purple, palette.amber, palette.grey];
const shapes = ['circle', 'triangle-up', 'cross', 'square', 'diamond'];
const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** Pairs with both numbers. */
function wholePairs({ title, pairs }: ScatterOptions) {
  return pairs.flatMap(({ panel, label, form, predicted, measured }) => {
    if (predicted === null || measured === null) return [];
    const bad = [predicted, measured].find((value) => !(value > 0 && value < Number.POSITIVE_INFINITY));
    if (bad !== undefined) throw new InputError(`${title}: expected finite numbers above 0 of "${label}", got ${bad}`);
    return [{ panel: printable(panel), label: printable(label), form: printable(form), predicted, measured }];
  });
}

/**
 * The specification of {@link scatter}.
 *
 * @throws InputError when there is no pair of two numbers, or one is not above 0.
 */
export function scatterSpec(
  options: ScatterOptions,
  { columns = 2, width }: { columns?: number; width?: number } = {},
): TopLevelSpec {
  const { title, quantity, within } = options;
  const rows = wholePairs(options);
  if (rows.length === 0) throw new InputError(`${title}: expected at least one pair, got none`);
  const [panels, labels, forms] = (['panel', 'label', 'form'] as const).map((key) =>
    unique(rows.map((row) => row[key])),
  );
  const perRow = Math.min(columns, panels.length);
  // Both axes are the same in all panels, so that the diagonal is where they agree.
  const all = rows.flatMap(({ predicted, measured }) => [predicted, measured]);
  const [low, high] = [Math.min(...all) / 1.5, Math.max(...all) * 1.5];
  const scale = { type: 'log' as const, nice: false, domain: [low, high] };
  const axis = { format: '~e', grid: true, labelOverlap: true, tickCount: 4 };
  const placed = (field: string, name: string) => ({
    field,
    type: 'quantitative' as const,
    title: `${name} ${quantity}`,
    scale,
    axis,
  });
  const side = width ?? (perRow === 1 ? 420 : Math.floor(680 / perRow) - 40);
  const guide = (factor: number) => ({
    data: {
      values: [
        { x: Math.max(low, low / factor), y: Math.max(low, low * factor) },
        { x: Math.min(high, high / factor), y: Math.min(high, high * factor) },
      ],
    },
    mark: {
      type: 'line' as const,
      color: palette.muted.light,
      strokeWidth: 1,
      ...(factor !== 1 && { strokeDash: [3, 3] }),
    },
    encoding: { x: placed('x', 'predicted'), y: placed('y', 'measured') },
  });
  const plot = {
    width: side,
    height: side,
    layer: [
      guide(1),
      guide(within),
      guide(1 / within),
      {
        mark: { type: 'point' as const, filled: true, opacity: 0.8, size: 50, color: palette.muted.light },
        encoding: {
          x: placed('predicted', 'predicted'),
          y: placed('measured', 'measured'),
          color: {
            field: 'label',
            type: 'nominal' as const,
            scale: { domain: labels, range: labels.map((_, index) => colors[index % colors.length].light) },
          },
          shape: {
            field: 'form',
            type: 'nominal' as const,
            legend: { symbolFillColor: palette.muted.light, symbolStrokeColor: palette.muted.light },
            scale: { domain: forms, range: forms.map((_, index) => shapes[index % shapes.length]) },
          },
        },
      },
    ],
  };
  const near = rows.filter(({ predicted, measured }) => isNear(predicted, measured, within)).length;
  const head = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    usermeta: { title },
    description: `Measured against predicted ${quantity}: ${near} of ${rows.length} within a factor of ${within}.`,
    config: chartConfig,
    data: { values: rows },
  };
  if (panels.length === 1) return { ...head, ...plot };
  const facet = { field: 'panel', type: 'nominal' as const, sort: panels, title: null };
  return { ...head, facet, columns: perRow, spacing: { row: 28, column: 24 }, spec: plot };
}

function isNear(predicted: number, measured: number, within: number): boolean {
  return measured <= predicted * within && measured >= predicted / within;
}

/** How far off forecasts were, a row for each panel, kind and form. */
export function scatterTable({ title, within, pairs }: ScatterOptions): Table {
  const groups = unique(pairs.map(({ panel, form, label }) => JSON.stringify([panel, form, label])));
  return {
    title,
    columns: [
      { key: 'panel', header: 'forecast' },
      { key: 'form', header: 'form' },
      { key: 'label', header: 'model' },
      { key: 'n', header: 'n', align: 'right' },
      { key: 'near', header: `within a factor of ${within}`, align: 'right' },
      { key: 'ratio', header: 'measured / predicted', align: 'right' },
    ],
    rows: groups.map((key) => {
      const [panel, form, label]: string[] = JSON.parse(key);
      const own = pairs.filter((pair) => pair.panel === panel && pair.form === form && pair.label === label);
      const ratios = own.flatMap(({ predicted, measured }) =>
        predicted === null || measured === null ? [] : [measured / predicted],
      );
      const near = ratios.filter((ratio) => isNear(1, ratio, within)).length;
      const center = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
      const text = (value: number) => String(Number(value.toPrecision(2)));
      return {
        panel: printable(panel),
        form: printable(form),
        label: printable(label),
        n: String(own.length),
        near: ratios.length === 0 ? '–' : `${near} of ${ratios.length} (${percent(near / ratios.length)})`,
        ratio:
          ratios.length === 0 ? '–' : `${text(center)} (${text(Math.min(...ratios))} to ${text(Math.max(...ratios))})`,
      };
    }),
    notes: ['Geometric mean, least to largest in brackets; pairs without one of the numbers are in n alone.'],
  };
}

/**
 * Predicted against measured on logarithmic axes, with the diagonal and the factor that counts as near.
 *
 * @throws InputError as {@link scatterSpec}
 */
export function scatter(options: ScatterOptions, render: RenderOptions = {}): Promise<Chart> {
  const narrow = scatterSpec(options, { columns: 1, width: 250 });
  return renderChart(scatterSpec(options), { data: scatterTable(options), narrow }, render);
}
