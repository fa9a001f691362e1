import type { UtilityChange } from '../experiments/index.js';
import { type Evaluation, type Metric, tasks } from '../tasks/index.js';
import { decimal, MISSING, percent } from './format/numbers.js';
import type { Table } from './format/table.js';

const columns = [
  { key: 'what', header: 'authorized task' },
  { key: 'before', header: 'before', align: 'right' as const },
  { key: 'after', header: 'after', align: 'right' as const },
  { key: 'float16', header: 'in fp16', align: 'right' as const },
  { key: 'bfloat16', header: 'in bf16', align: 'right' as const },
];

/** A metric of an evaluation as people read it. */
export function showMetric({ name, unit }: Metric, { metrics }: Evaluation): string {
  const value = metrics[name];
  if (value === undefined || value === null) return MISSING;
  return unit === 'share' ? percent(value) : small(value);
}

/** Three digits of what may be tiny or huge. */
function small(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return value.toExponential(1).replace('e+', 'e').replace('-', '−');
  if (size !== 0 && size < 5e-5) return value < 0 ? '−0.0000' : '< 0.0001';
  return decimal(value, size < 1 ? 4 : size < 1000 ? 2 : 0);
}

/** What a lock costs the authorized task, also in the types that users compute in. */
export function utilityTable({ task, before, after }: UtilityChange, { title }: { title?: string } = {}): Table {
  const { metrics, explanation } = tasks.get(task);
  // Some are of two classes alone, and older results have fewer.
  const measured = metrics.filter(({ name }) =>
    [before, after].some((each) => each.float32.metrics[name] !== undefined),
  );
  return {
    title,
    columns,
    rows: measured.map((metric) => ({
      what: metric.title,
      before: showMetric(metric, before.float32),
      after: showMetric(metric, after.float32),
      float16: showMetric(metric, after.float16),
      bfloat16: showMetric(metric, after.bfloat16),
    })),
    notes: [
      `Test examples: ${after.float32.n}. ${explanation} In fp16, bf16: after the lock, every value stored in 16 bits.`,
    ],
  };
}

/** What a lock costs the authorized task, in one sentence. */
export function utilitySentence({ task, before: { float32: a }, after: { float32: b } }: UtilityChange): string {
  const { roles, metrics } = tasks.get(task);
  const metric = (name: string) => metrics.find((known) => known.name === name);
  const [score, loss, divergence] = [roles.score, roles.loss, roles.divergence].map(metric);
  const show = (of: Metric | undefined, evaluation: Evaluation) => (of ? showMetric(of, evaluation) : MISSING);
  const lost = 100 * ((a.metrics[roles.score] ?? Number.NaN) - (b.metrics[roles.score] ?? Number.NaN));
  const compared = [divergence, ...metrics.filter((other) => other !== divergence && other.compares)]
    .flatMap((each) => (each ? [`${each.title} ${showMetric(each, b)}${each.unit === 'nats' ? ' nats' : ''}`] : []))
    .join(', ');
  return (
    `Authorized ${score?.title}: ${show(score, a)} before the lock, ${show(score, b)} after ` +
    `(${decimal(Math.abs(lost), 1)} points ${lost < 0 ? 'gained' : 'lost'}, n = ${b.n}); ` +
    `${loss?.title} ${show(loss, a)} before, ${show(loss, b)} after; ${compared}.`
  );
}
