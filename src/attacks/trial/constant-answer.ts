import type { Dataset } from '../../data/index.js';
import type { Task } from '../../tasks/index.js';

/**
 * The best score of those who always give one and the same answer, whatever the example; undefined where examples have no answer
 * each.
 *
 * @param named - Name of the metric; default that of the task's score.
 */
export function constantScore(task: Task, dataset: Dataset, named?: string): number | undefined {
  const answers = task.answers?.(dataset);
  if (!answers) return undefined;
  const { name: metric } = task.metric(named ?? task.roles.score, dataset);
  const { count } = answers;
  const positions = Uint32Array.from({ length: dataset.size }, (_, position) => position);
  const scores = Array.from({ length: count }, (_, answer) => {
    const meter = task.meter(dataset, count);
    const values = Float32Array.from({ length: dataset.size * count }, (_, at) => Number(at % count === answer));
    meter.add({ positions, values, shape: [dataset.size, count] });
    return meter.result().metrics[metric] ?? Number.NEGATIVE_INFINITY;
  });
  return Math.max(...scores);
}
