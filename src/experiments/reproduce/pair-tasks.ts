import type { LabelledDataset } from '../../data/index.js';

/** Tasks of GLUE on pairs of sentences: which metric the paper gives, and the score that the cost is counted to. */
export const pairTasks = [
  { name: 'rte', label: 'RTE', metric: 'accuracy', target: 0.58 },
  { name: 'qqp', label: 'QQP', metric: 'f1.1', target: 0.65 },
  { name: 'qnli', label: 'QNLI', metric: 'accuracy', target: 0.65 },
] as const;

/** One of {@link pairTasks}. */
export type PairTask = (typeof pairTasks)[number];

/** Score of the better of guessing by the classes' frequency and always answering with the second class. */
export function guessingOf({ labels }: LabelledDataset, metric: string): number {
  const share = labels.reduce((sum, label) => sum + label, 0) / labels.length;
  return metric === 'f1.1' ? (2 * share) / (1 + share) : Math.max(share, 1 - share);
}
