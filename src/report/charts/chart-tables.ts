import { count, decimal, interval, percent, steps } from '../format/numbers.js';
import type { Table } from '../format/table.js';

/** A point of a line of a learning curve: mean, least and greatest score over seeds. */
export interface CurveRow {
  /** The attack. */
  readonly attack: string;
  /** What it starts from. */
  readonly start: string;
  /** Optimizer steps so far. */
  readonly step: number;
  /** Mean over the seeds. */
  readonly mean: number;
  /** The worst seed. */
  readonly low: number;
  /** The best seed. */
  readonly high: number;
  /** How many seeds. */
  readonly seeds: number;
}

/** The numbers behind learning curves: a row for each attack and step, a column for each starting point. */
export function curvesTable(rows: readonly CurveRow[], starts: readonly string[], metric: string): Table {
  const lines = new Map<string, Record<string, string>>();
  for (const { attack, start, step, mean, low, high, seeds } of rows) {
    const key = JSON.stringify([attack, step]);
    const line = lines.get(key) ?? { attack, step: steps(step) };
    const range = seeds > 1 ? ` (${interval(100 * low, 100 * high)})` : '';
    line[`start ${start}`] = `${percent(mean)}${range}`;
    lines.set(key, line);
  }
  const counts = [...new Set(rows.map(({ seeds }) => seeds))].sort((a, b) => a - b).map((n) => count(n, 'seed'));
  return {
    title: `Unauthorized ${metric} by steps`,
    columns: [
      { key: 'attack', header: 'attack' },
      { key: 'step', header: 'steps', align: 'right' },
      ...starts.map((start) => ({ key: `start ${start}`, header: start, align: 'right' as const })),
    ],
    rows: [...lines.values()],
    notes: [`Mean (least to most) over ${counts.join(' or ')}, at the steps that all of them measured.`],
  };
}

/** The numbers behind spectra: a row for each matrix and singular value. */
export function spectraTable(
  layers: readonly { readonly layer: string; readonly before: readonly number[]; readonly after: readonly number[] }[],
): Table {
  return {
    title: 'Singular values before and after the lock',
    columns: [
      { key: 'layer', header: 'matrix' },
      { key: 'index', header: 'σ' },
      { key: 'before', header: 'before', align: 'right' },
      { key: 'after', header: 'after', align: 'right' },
    ],
    rows: layers.flatMap(({ layer, before, after }) =>
      before.map((sigma, index) => ({
        layer,
        index: `σ${index + 1}`,
        before: significant(sigma),
        after: significant(after[index]),
      })),
    ),
  };
}

/** Four significant digits: small singular values are no zeros. */
function significant(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : decimal(value);
}

/** The numbers behind a trade-off: a row for each lock setting. */
export function tradeOffTable(
  points: readonly {
    readonly label: string;
    readonly authorized: number;
    readonly advantage: number;
    readonly advantageRange?: readonly [number, number];
  }[],
): Table {
  return {
    title: 'What each lock setting costs and what it buys',
    columns: [
      { key: 'label', header: 'setting' },
      { key: 'authorized', header: 'authorized score', align: 'right' },
      { key: 'advantage', header: "attacker's advantage", align: 'right' },
      { key: 'range', header: 'interval', align: 'right' },
    ],
    rows: points.map(({ label, authorized, advantage, advantageRange: range }) => ({
      label,
      authorized: percent(authorized),
      advantage: decimal(advantage, 2),
      range: interval(range?.[0], range?.[1], (bound) => decimal(bound, 2)),
    })),
  };
}
