import type { TopLevelSpec } from 'vega-lite';
import { InputError } from '../../registry/index.js';
import { decimal, percent } from '../format/numbers.js';
import { printable } from '../format/text.js';
import { chartConfig, palette } from '../format/theme.js';
import { tradeOffTable } from './chart-tables.js';
import { type Box, placeLabels } from './place-labels.js';
import { type Chart, type RenderOptions, renderChart } from './render-chart.js';

/** One lock setting, judged from both sides. */
export interface TradeOffPoint {
  /** The setting, as in "α 0.1, k 4". */
  label: string;
  /** Metric of the authorized task, 0 to 1. */
  authorized: number;
  /** Attacker's advantage: 1 the lock does nothing, 0 the weights are worth no more than none, below 0 less. */
  advantage: number;
  /** Interval of the advantage over seeds. */
  advantageRange?: readonly [low: number, high: number];
  /** The unlocked model, for comparison; drawn in its own colour. */
  reference?: boolean;
}

const WIDTH = 640;
const HEIGHT = 340;

/** The shortest range between multiples of `step` that holds all values with room around them. */
function domainOf(values: readonly number[], step: number): [number, number] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = Math.max((high - low) * 0.06, step * 0.2);
  return [Math.floor((low - room) / step) * step, Math.ceil((high + room) / step) * step];
}

/** A step of 1, 2 or 5 times a power of ten that divides the spread of the values into about five. */
function stepOf(values: readonly number[]): number {
  const raw = Math.max(Math.max(...values) - Math.min(...values), 0.02) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= raw) ?? 10;
  return factor * power;
}

/**
 * The specification of `tradeOff`, with the points and the places of their labels as its data.
 *
 * @throws InputError for no point, an authorized metric outside 0 to 1, or an advantage that is not finite
 */
export function tradeOffSpec(
  points: readonly TradeOffPoint[],
  { width = WIDTH }: { width?: number } = {},
): TopLevelSpec {
  if (points.length === 0) throw new InputError('trade-off: expected at least one point, got none');
  for (const { label, authorized, advantage, advantageRange = [0, 0] } of points) {
    if (!(authorized >= 0 && authorized <= 1)) {
      throw new InputError(`trade-off: expected an authorized metric from 0 to 1 for "${label}", got ${authorized}`);
    }
    const bad = [advantage, ...advantageRange].find((value) => !Number.isFinite(value));
    if (bad !== undefined) throw new InputError(`trade-off: expected a finite advantage for "${label}", got ${bad}`);
  }
  // 0 and 1 are what the advantage is measured against: always in the picture.
  const advantages = [0, 1, ...points.flatMap((p) => [p.advantage, ...(p.advantageRange ?? [])])];
  const authorized = points.map((point) => point.authorized);
  const xDomain = domainOf(advantages, 0.1);
  const yStep = stepOf(authorized);
  const [yLow, yHigh] = domainOf(authorized, yStep);
  const yDomain = [Math.max(0, yLow), Math.min(1, yHigh)];
  const x = (value: number): number => ((value - xDomain[0]) / (xDomain[1] - xDomain[0])) * width;
  const y = (value: number): number => ((yDomain[1] - value) / (yDomain[1] - yDomain[0])) * HEIGHT;
  const obstacles: Box[] = points.flatMap(({ advantageRange: range, authorized: value }) =>
    range ? [{ left: x(range[0]), right: x(range[1]), top: y(value) - 2, bottom: y(value) + 2 }] : [],
  );
  obstacles.push(...[0, 1].map((at) => ({ left: x(at) - 2, right: x(at) + 2, top: 0, bottom: HEIGHT })));
  const places = placeLabels(
    points.map((point) => ({ x: x(point.advantage), y: y(point.authorized), text: printable(point.label) })),
    { width, height: HEIGHT, fontSize: 12, obstacles },
  );
  const rows = points.map((point, index) => ({
    ...places[index],
    label: printable(point.label),
    authorized: point.authorized,
    advantage: point.advantage,
    low: point.advantageRange?.[0] ?? point.advantage,
    high: point.advantageRange?.[1] ?? point.advantage,
    reference: point.reference ?? false,
  }));
  const ticks = Array.from(
    { length: Math.round((yDomain[1] - yDomain[0]) / yStep) + 1 },
    (_, i) => yDomain[0] + i * yStep,
  );
  const encodingX = {
    field: 'advantage',
    type: 'quantitative' as const,
    title: "attacker's advantage (less is better)",
    scale: { domain: xDomain, nice: false, zero: false },
    axis: { format: '~f', tickCount: 7, labelOverlap: true, grid: true },
  };
  const encodingY = {
    field: 'authorized',
    type: 'quantitative' as const,
    title: 'authorized score (more is better)',
    scale: { domain: yDomain, nice: false, zero: false },
    axis: {
      values: ticks,
      domain: false,
      labelExpr: `format(100 * datum.value, '.${yStep >= 0.01 ? 0 : yStep >= 0.001 ? 1 : 2}f') + ' %'`,
    },
  };
  // The two captions stand over their lines, or back to back where the lines are close.
  const far = x(1) - x(0) > 220;
  const limits = [
    { at: 0, text: far ? 'weights worth no more than none' : 'no more than none', align: far ? 'center' : 'right' },
    { at: 1, text: far ? 'the lock does nothing' : 'no lock', align: far ? 'center' : 'left' },
  ];
  const description = points.map(
    ({ label, authorized: value, advantage }) =>
      `${printable(label)}: authorized ${percent(value)}, attacker's advantage ${decimal(advantage, 2)}.`,
  );
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    usermeta: { title: 'What each lock setting costs and what it buys' },
    description: description.join(' '),
    config: chartConfig,
    width,
    height: HEIGHT,
    data: { values: rows },
    layer: [
      {
        data: { values: limits },
        mark: { type: 'rule', color: palette.muted.light, strokeWidth: 1, strokeDash: [3, 3] },
        encoding: { x: { ...encodingX, field: 'at' } },
      },
      {
        data: { values: limits },
        mark: {
          type: 'text',
          align: { expr: 'datum.align' },
          baseline: 'bottom',
          color: palette.muted.light,
          fontSize: 11,
        },
        encoding: { x: { ...encodingX, field: 'at' }, y: { value: -10 }, text: { field: 'text', type: 'nominal' } },
      },
      // Of points without an interval there are none: a layer without rows has no extent.
      ...(rows.some(({ low, high }) => low < high)
        ? [
            {
              transform: [{ filter: 'datum.low < datum.high' }],
              mark: { type: 'rule' as const, color: palette.vermillion.light, strokeWidth: 2, opacity: 0.45 },
              encoding: { x: { ...encodingX, field: 'low' }, x2: { field: 'high' }, y: encodingY },
            },
          ]
        : []),
      {
        mark: { type: 'point', filled: true, opacity: 1, size: 80 },
        encoding: {
          x: encodingX,
          y: encodingY,
          color: { condition: { test: 'datum.reference', value: palette.blue.light }, value: palette.vermillion.light },
        },
      },
      {
        mark: {
          type: 'text',
          align: { expr: 'datum.align' },
          baseline: { expr: 'datum.baseline' },
          dx: { expr: 'datum.dx' },
          dy: { expr: 'datum.dy' },
        },
        encoding: { x: encodingX, y: encodingY, text: { field: 'label', type: 'nominal' } },
      },
    ],
  };
}

/**
 * Authorized accuracy against the attacker's advantage, one labelled point a lock setting; a good lock stands at the
 * upper left. Lines mark the advantages 0 and 1.
 *
 * @throws InputError as `tradeOffSpec`
 */
export function tradeOff(points: readonly TradeOffPoint[], options: RenderOptions = {}): Promise<Chart> {
  const narrow = tradeOffSpec(points, { width: 280 });
  return renderChart(tradeOffSpec(points), { data: tradeOffTable(points), narrow }, options);
}
