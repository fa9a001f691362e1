import type { TopLevelSpec } from 'vega-lite';
import type { AttackReach, FrontierPoint, LeftByAttack, ResultFrontier } from '../../experiments/index.js';
import { mean, meanInterval } from '../../linalg/index.js';
import { InputError } from '../../registry/index.js';
import { decimal, cost as formatCost, formatMean, interval, MISSING, percent } from '../format/numbers.js';
import type { Table } from '../format/table.js';
import { printable } from '../format/text.js';
import { chartConfig, palette } from '../format/theme.js';
import { type Chart, type RenderOptions, renderChart } from './render-chart.js';

const colors = [palette.blue, palette.vermillion, palette.green, palette.purple, palette.amber, palette.grey];
const shapes = ['circle', 'square', 'triangle-up', 'cross', 'diamond', 'triangle-down'];
const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** `2.1e12`: floating-point operations, of which only the size matters. */
function operations(flops: number | undefined): string {
  return flops === undefined ? MISSING : flops === 0 ? '0' : flops.toExponential(1).replace('e+', 'e');
}

/** Points with an advantage that says something. */
function placed({ title, points }: ResultFrontier) {
  return points.flatMap(({ model, method, lost, score, flops }) => {
    if (score?.low === undefined || score.high === undefined || lost.length === 0) return [];
    const all = [score.ratio, score.low, score.high, ...lost];
    const bad = all.find((value) => !Number.isFinite(value));
    if (bad !== undefined) throw new InputError(`${title}: expected finite numbers of "${method}", got ${bad}`);
    return [
      {
        model: printable(model),
        method: printable(method),
        lost: 100 * mean(lost),
        left: score.ratio,
        low: score.low,
        high: score.high,
        // A method without training takes no operations; a size has to be above 0 on its logarithmic scale.
        flops: Math.max(flops ?? 1, 1e6),
      },
    ];
  });
}

/** Powers of ten around some numbers, at least one apart, so that two of a size look it. */
function decadesAround(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)].map(Math.log10);
  const least = Math.floor(low);
  return [10 ** least, 10 ** Math.max(least + 1, Math.ceil(high))];
}

/**
 * The specification of {@link frontierChart}.
 *
 * @throws InputError where no method has an advantage that was measured, or a number is not finite.
 */
export function frontierSpec(
  frontier: ResultFrontier,
  { columns = 2, width }: { columns?: number; width?: number } = {},
): TopLevelSpec {
  const rows = placed(frontier);
  if (rows.length === 0) throw new InputError(`${frontier.title}: expected at least one method, got none`);
  const [models, methods] = (['model', 'method'] as const).map((key) => unique(rows.map((row) => row[key])));
  const perRow = Math.min(columns, models.length);
  const side = width ?? (perRow === 1 ? 440 : Math.floor(680 / perRow) - 40);
  const sizes = decadesAround(rows.map(({ flops }) => flops));
  const x = (field: string) => ({
    field,
    type: 'quantitative' as const,
    title: "attacker's advantage left (less is better)",
    scale: { zero: true },
    axis: { format: '~f', grid: true, tickCount: 5, labelOverlap: true },
  });
  const y = {
    field: 'lost',
    type: 'quantitative' as const,
    title: 'utility lost, points (less is better)',
    scale: { zero: true },
    axis: { format: '~f', tickCount: 5 },
  };
  const color = {
    field: 'method',
    type: 'nominal' as const,
    legend: { columns: 3, symbolOpacity: 1 },
    scale: { domain: methods, range: methods.map((_, index) => colors[index % colors.length].light) },
  };
  const guide = (at: number) => ({
    data: { values: [{ at }] },
    mark: { type: 'rule' as const, color: palette.muted.light, strokeWidth: 1, strokeDash: [3, 3] },
    encoding: { x: x('at') },
  });
  const plot = {
    width: side,
    height: Math.round(0.75 * side),
    layer: [
      guide(0),
      guide(1),
      {
        mark: { type: 'rule' as const, strokeWidth: 2, opacity: 0.4 },
        encoding: { x: x('low'), x2: { field: 'high' }, y, color },
      },
      {
        mark: { type: 'point' as const, filled: true, opacity: 0.85, color: palette.muted.light },
        encoding: {
          x: x('left'),
          y,
          color,
          shape: {
            field: 'method',
            type: 'nominal' as const,
            scale: {
              domain: methods,
              range: methods.map((_, index) => shapes[(index + Math.floor(index / colors.length)) % shapes.length]),
            },
          },
          size: {
            field: 'flops',
            type: 'quantitative' as const,
            title: 'owner’s operations',
            scale: { type: 'log' as const, domain: sizes, range: [40, 320] },
            legend: {
              values: sizes,
              format: '~e',
              titleColor: palette.muted.light,
              symbolFillColor: palette.muted.light,
              symbolStrokeColor: palette.muted.light,
            },
          },
        },
      },
    ],
  };
  const description = rows.map(
    ({ model, method, lost, left }) =>
      `${model}, ${method}: ${decimal(lost)} points lost, advantage ${decimal(left, 2)} left.`,
  );
  const head = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    usermeta: { title: frontier.title },
    description: description.join(' '),
    config: chartConfig,
    data: { values: rows },
  };
  if (models.length === 1) return { ...head, ...plot };
  const facet = { field: 'model', type: 'nominal' as const, sort: models, title: null };
  return { ...head, facet, columns: perRow, spacing: { row: 28, column: 24 }, spec: plot };
}

/**
 * What each lock costs against what it leaves an attacker, a panel a model; a good lock stands at the lower left. Dashed lines are
 * the advantages 0 (the weights are worth no more than none) and 1 (the lock does nothing); the size is the owner's computing.
 *
 * @throws InputError as {@link frontierSpec}.
 */
export function frontierChart(frontier: ResultFrontier, options: RenderOptions = {}): Promise<Chart> {
  const narrow = frontierSpec(frontier, { columns: 1, width: 260 });
  return renderChart(frontierSpec(frontier), { data: frontierTable(frontier), narrow }, options);
}

/** `0.38 (0.27 to 0.50)`: what is left of an advantage; `≤` before one whose best attack did not reach the target. */
export function advantageLeft(advantage: LeftByAttack | undefined): string {
  if (!advantage) return MISSING;
  const { ratio, low, high, isUpperBound, isLowerBound } = advantage;
  if (low === undefined || high === undefined) return 'measures nothing';
  const bound = isUpperBound ? '≤ ' : isLowerBound ? '≥ ' : '';
  return `${bound}${decimal(ratio, 2)} (${interval(low, high, (value) => decimal(value, 2))})`;
}

/** `> 29`: steps to a target. */
function reachedSteps(reach: AttackReach | undefined): string {
  return reach ? formatCost({ steps: reach.value, censored: reach.ranOut }) : MISSING;
}

/** `78.1 %`, or `53.0 % to 55.2 %`, of what is not the same for all locks. */
function fromTo<T>(values: readonly T[], by: (value: T) => number, format: (value: T) => string): string {
  const sorted = values.toSorted((a, b) => by(a) - by(b));
  return unique(sorted.slice(0, 1).concat(sorted.slice(-1)).map(format)).join(' to ');
}

/** What a model is worth to an attacker before any lock, and without its weights; of older results nothing. */
function worthSentences(points: readonly FrontierPoint[]): string[] {
  return unique(points.map(({ model }) => model)).flatMap((model) => {
    const own = points.filter((point) => point.model === model);
    const [scores, costs] = (['score', 'cost'] as const).map((measure) =>
      own.flatMap((point) => point[measure]?.reached ?? []),
    );
    if (scores.length === 0) return [];
    const of = (side: 'unlocked' | 'floor') => {
      const [reached, taken] = [scores, costs].map((all) => all.map((each) => each[side]));
      const value = (reach: AttackReach) => reach.value;
      const steps = taken.length > 0 ? `, ${fromTo(taken, value, reachedSteps)} steps to the target` : '';
      return `${fromTo(reached, value, (reach) => percent(reach.value))}${steps}`;
    };
    return [`${model}: unlocked ${of('unlocked')}; floor ${of('floor')}.`];
  });
}

/** Attacks that gained more with the reported seeds than what the searches chose; none of older results. */
function overlookedSentences(points: readonly FrontierPoint[]): string[] {
  const several = new Set(points.map(({ model }) => model)).size > 1;
  const found = points.flatMap(({ model, method, score }) => {
    if (!score?.overlooked) return [];
    const { reached, ...left } = score.overlooked;
    const lock = several ? `${model}, ${method}` : method;
    return [`${lock}: ${reached.attack}, ${percent(reached.value)}, ${advantageLeft(left)}`];
  });
  if (found.length === 0) return [];
  return [
    `With the reported seeds other attacks come further in score than those that the searches chose, whose rows these are: ${found.join('; ')}. They are picked by these very numbers, so chance is on their side; a lock that one of them gets more of than it may leave is not said to hold.`,
  ];
}

/** `erase (2 of 3 draws diverged)`. */
function lockOf({ method, lost, diverged = 0 }: FrontierPoint): string {
  return diverged === 0 ? method : `${method} (${diverged} of ${diverged + lost.length} draws diverged)`;
}

/** All methods and models: what is lost, what is left, what it took. */
export function frontierTable({ title, points }: ResultFrontier): Table {
  const areas = points.some(({ areaLost }) => areaLost !== undefined);
  return {
    title,
    columns: [
      { key: 'model', header: 'model' },
      { key: 'method', header: 'lock' },
      { key: 'class', header: 'class' },
      { key: 'lost', header: 'utility lost, points', align: 'right' },
      ...(areas ? [{ key: 'area', header: 'ROC area lost', align: 'right' as const }] : []),
      { key: 'kl', header: 'KL, nats', align: 'right' },
      { key: 'score', header: 'advantage left in score', align: 'right' },
      { key: 'cost', header: 'in cost', align: 'right' },
      { key: 'attack', header: 'best attack' },
      { key: 'reached', header: 'its score', align: 'right' },
      { key: 'taken', header: 'its FLOPs', align: 'right' },
      { key: 'steps', header: 'fewest steps', align: 'right' },
      { key: 'flops', header: 'owner’s FLOPs', align: 'right' },
      { key: 'seconds', header: 'seconds', align: 'right' },
    ],
    rows: points.map((point) => {
      const { model, class: kind, lost, areaLost, kl, score, cost, attack, flops, seconds } = point;
      return {
        model,
        method: lockOf(point),
        class: kind ?? MISSING,
        lost: lost.length === 0 ? MISSING : formatMean(meanInterval(lost.map((value) => 100 * value))),
        ...(areas && { area: areaLost ? decimal(mean(areaLost), 3) : MISSING }),
        kl: kl.length === 0 ? MISSING : decimal(mean(kl), 3),
        score: advantageLeft(score),
        cost: advantageLeft(cost),
        attack,
        reached: percent(score?.reached?.locked.value),
        taken: operations(score?.reached?.locked.flops),
        steps: reachedSteps(cost?.reached?.locked),
        flops: operations(flops),
        seconds: decimal(seconds, 0),
      };
    }),
    notes: [
      `Utility lost: of the score on the authorized test examples, mean over draws of the lock${areas ? '; ROC area: under the curve of a classifier of two classes, which varies less from draw to draw' : ''}. Advantage left: what the best attack, adaptive ones included, keeps of what it gains from the unlocked model over the floor (95 % interval over seeds, which take the draws in turn); 1: the lock does nothing, 0: the weights are worth no more than none.`,
      ...worthSentences(points),
      ...overlookedSentences(points),
      "The best attack's FLOPs are those of one run, without the search for its rate; the fewest steps to the target may be another attack's. The floor uses the outputs of the locked model, so it may be another one for each lock. The owner's FLOPs and seconds are those of one draw.",
    ],
  };
}
