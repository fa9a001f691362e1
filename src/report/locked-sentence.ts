import type { LockedInfo } from '../experiments/index.js';
import { tasks } from '../tasks/index.js';
import { magnitude } from './format/numbers.js';
import { showMetric } from './utility-table.js';

/** How far a lock moved the weights, and what that did to the outputs, in one sentence; results of versions before 0.3 have no distance. */
export function lockedSentence(found: Pick<LockedInfo, 'moved' | 'test' | 'story'>): string {
  const { moved } = found;
  const error = `Output error: ${outputError(found)}.`;
  if (!moved) return error;
  const { changed, of, distance, most } = moved;
  if (changed === 0) return `Weights: none of ${of} tensors changed.`;
  const furthest = most ? `; most ${most.name}, by ${magnitude(most.distance, 3)} of its own` : '';
  return `Weights: ${changed} of ${of} tensors changed, by ${magnitude(distance, 3)} of their norm (‖θ′ − θ‖ / ‖θ‖)${furthest}. ${error}`;
}

/** The difference to the original's outputs on test examples, else on noise. */
function outputError({ test, story }: Pick<LockedInfo, 'test' | 'story'>): string {
  if (test) {
    const { roles, metrics } = tasks.get(test.task);
    const divergence = metrics.find(({ name }) => name === roles.divergence);
    const unit = divergence?.unit === 'nats' ? ' nats' : '';
    if (divergence) return `${divergence.title} ${showMetric(divergence, test.after.float32)}${unit} on test examples`;
  }
  const { float32 } = (story?.outputError ?? {}) as { float32?: { locked?: number | null } };
  if (float32 === undefined) return 'not measured, as no data were given';
  const { locked } = float32;
  return locked === null || locked === undefined
    ? 'outputs on noise are not finite'
    : `${magnitude(locked, 3)} of the largest output, on noise`;
}
