import { InputError } from '../../registry/index.js';
import type { Metric } from '../task.js';

/** What is measured of classes, in the order of tables. */
export const classMetrics: readonly Metric[] = [
  { name: 'accuracy', title: 'accuracy', unit: 'share', better: 'more' },
  { name: 'loss', title: 'loss', unit: 'number', better: 'less' },
  { name: 'auc', title: 'area under the ROC curve', unit: 'number', better: 'more' },
  { name: 'ece', title: 'calibration error', unit: 'share', better: 'less' },
  { name: 'agreement', title: 'agreement', unit: 'share', better: 'more', compares: true },
  { name: 'kl', title: 'KL to the original', unit: 'nats', better: 'less', compares: true },
  { name: 'leastLogit', title: 'least logit', unit: 'number', better: 'neither' },
  { name: 'largestLogit', title: 'largest logit', unit: 'number', better: 'neither' },
  { name: 'notFinite', title: 'outputs not finite', unit: 'share', better: 'less' },
];

/** Mean F1 over the classes that occur or are predicted. */
export const meanF1: Metric = { name: 'f1', title: 'mean F1', unit: 'share', better: 'more' };
export const matthews: Metric = {
  name: 'matthews',
  title: 'Matthews correlation',
  unit: 'number',
  better: 'more',
};

/** Titles of the metrics that each class has. */
const ofClass: Readonly<Record<string, string>> = { recall: 'recall', f1: 'F1' };

/**
 * A metric by its name, or that of one class, such as `f1.3`.
 *
 * @throws InputError when there is none.
 */
export function classMetric(name: string, known: readonly Metric[], classes: readonly string[]): Metric {
  const found = known.find((metric) => metric.name === name && (name !== 'auc' || classes.length === 2));
  if (found) return found;
  const [kind, label, more] = name.split('.');
  const title = ofClass[kind];
  const className = classes[Number(label)];
  if (title !== undefined && className !== undefined && more === undefined && String(Number(label)) === label) {
    return { name, title: `${title} of ${className}`, unit: 'share', better: 'more' };
  }
  throw new InputError(
    `metric: expected one of ${known.map((metric) => metric.name).join(', ')}, or recall and f1 of a class such as f1.0, found ${JSON.stringify(name)}`,
  );
}
