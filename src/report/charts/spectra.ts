import type { TopLevelSpec } from 'vega-lite';
import { InputError } from '../../registry/index.js';
import { magnitude, ratio } from '../format/numbers.js';
import { elide, printable } from '../format/text.js';
import { chartConfig, palette } from '../format/theme.js';
import { spectraTable } from './chart-tables.js';
import { type Chart, type RenderOptions, renderChart } from './render-chart.js';

/** The largest singular values σ1 ≥ σ2 ≥ … of one weight matrix, before and after the lock (equally many of each). */
export interface LayerSpectrum {
  /** Name of the weight matrix. */
  layer: string;
  /** Before the lock, largest first. */
  before: readonly number[];
  /** After the lock, largest first. */
  after: readonly number[];
}

/** A value below this share of σ1 is the rounding of a double: the matrix has a lower rank, and the value stands for 0. */
const ROUNDING = 1e-13;

/** Whether a logarithmic axis has a place for the value: it has none for 0. */
function isShown(sigma: number, all: readonly number[]): boolean {
  return sigma > ROUNDING * all[0];
}

function checked({ layer, before, after }: LayerSpectrum): LayerSpectrum {
  if (before.length === 0 || before.length !== after.length) {
    throw new InputError(
      `spectra: expected as many singular values after as before the lock for "${layer}", got ${before.length} and ${after.length}`,
    );
  }
  const bad = [...before, ...after].find((value) => !(value >= 0 && Number.isFinite(value)));
  if (bad !== undefined) throw new InputError(`spectra: expected singular values from 0 up for "${layer}", got ${bad}`);
  return { layer: printable(layer), before, after };
}

/**
 * The specification of `spectra`, with the singular values as its data.
 *
 * @throws InputError for no layer, two layers of one name, unequal counts, or a value that is negative or not finite
 */
export function spectraSpec(
  layers: readonly LayerSpectrum[],
  { width = 560, nameLength = 34 }: { width?: number; nameLength?: number } = {},
): TopLevelSpec {
  if (layers.length === 0) throw new InputError('spectra: expected at least one layer, got none');
  const spectra = layers.map(checked);
  const names = spectra.map(({ layer }) => layer);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new InputError(`spectra: expected each layer once, got "${twice}" twice`);

  const rows = spectra.flatMap(({ layer, before, after }, row) =>
    before.flatMap((sigma, index) => [
      ...(isShown(sigma, before)
        ? [{ layer, row: row - 0.22, order: index + 1, state: 'before the lock', sigma }]
        : []),
      ...(isShown(after[index], after)
        ? [{ layer, row: row + 0.22, order: index + 1, state: 'after the lock', sigma: after[index] }]
        : []),
    ]),
  );
  const summary = spectra.map(({ layer, before, after }) => {
    const raised = before[0] > 0 ? ` (${ratio(after[0] / before[0])})` : '';
    const hidden = [before, after].flatMap((values) => values.filter((value) => !isShown(value, values))).length;
    const without = hidden === 0 ? '' : ` ${hidden} of its values are 0 and have no place on the axis.`;
    return `${layer}: σ1 ${magnitude(before[0])} before, ${magnitude(after[0])} after${raised}.${without}`;
  });
  const states = ['before the lock', 'after the lock'];
  const x = {
    field: 'sigma',
    type: 'quantitative' as const,
    title: 'singular values σ (logarithmic)',
    // Without a value there is no extent to take.
    scale: { type: 'log' as const, nice: false, padding: 14, ...(rows.length === 0 && { domain: [1, 10] }) },
    axis: { format: '~r', labelOverlap: true, grid: true, tickCount: 6 },
  };
  const y = {
    field: 'row',
    type: 'quantitative' as const,
    title: null,
    scale: { domain: [-0.5, names.length - 0.5], reverse: true, nice: false, zero: false },
    axis: {
      values: names.map((_, index) => index),
      // The names travel as data, never as part of an expression.
      labelExpr: `${JSON.stringify(names.map((name) => elide(name, nameLength)))}[datum.value]`,
      labelLimit: 0,
      labelColor: palette.ink.light,
      grid: false,
      domain: false,
    },
  };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    usermeta: { title: 'Singular values before and after the lock' },
    description: `The largest singular values of each weight matrix. ${summary.join(' ')}`,
    config: chartConfig,
    data: { values: rows },
    width,
    height: Math.max(120, names.length * 34),
    layer: [
      {
        mark: { type: 'line', color: palette.muted.light, opacity: 0.55, strokeWidth: 1 },
        encoding: {
          x,
          y,
          detail: [
            { field: 'layer', type: 'nominal' },
            { field: 'order', type: 'ordinal' },
          ],
          order: { field: 'row', type: 'quantitative' },
        },
      },
      {
        mark: { type: 'point', size: 42, opacity: 1, strokeWidth: 1.6 },
        encoding: {
          x,
          y,
          stroke: {
            field: 'state',
            type: 'nominal',
            scale: { domain: states, range: [palette.blue.light, palette.vermillion.light] },
            legend: { symbolSize: 60, symbolStrokeWidth: 1.6 },
          },
          fill: {
            field: 'state',
            type: 'nominal',
            scale: { domain: states, range: ['transparent', palette.vermillion.light] },
          },
          shape: {
            field: 'state',
            type: 'nominal',
            scale: { domain: states, range: ['circle', 'circle'] },
          },
        },
      },
    ],
  };
}

/**
 * σ1 … σk of each weight matrix before (upper dots) and after the lock (lower dots) on a logarithmic axis; a line joins
 * the i-th value before with the i-th after, so that what was raised leans to the right. A value of 0 (a matrix of lower
 * rank) has no place on the axis and is named in the description instead.
 *
 * @throws InputError as `spectraSpec`
 */
export function spectra(layers: readonly LayerSpectrum[], options: RenderOptions = {}): Promise<Chart> {
  const narrow = spectraSpec(layers, { width: 200, nameLength: 16 });
  return renderChart(spectraSpec(layers), { data: spectraTable(layers), narrow }, options);
}
