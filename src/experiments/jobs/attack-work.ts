import { type AttackTask, trialCount } from '../../attacks/index.js';
import type { PhaseProgress } from '../progress.js';

/** What the work of a search depends on. */
export type SearchWork = Pick<AttackTask, 'steps' | 'budget'>;

/** Optimizer steps of all trials of a search, at most: what a search of 240 steps a trial weighs beside one of 40. */
export function attackWork({ steps, budget }: SearchWork): number {
  return steps * trialCount(budget);
}

/** Shows how far the searches of an attack have come. */
export interface TrialTracker {
  /** A search that an earlier, interrupted run has finished. */
  skip(task: SearchWork): void;
  /** One trial of a search is done; one that ended early counts in full, for its share of the work is done. */
  trial(task: SearchWork): void;
  /** All searches are done. */
  end(): void;
}

/** Begins a part of the progress that counts trials in words, and the work that each is of in steps. */
export function trackTrials(progress: PhaseProgress, label: string, tasks: readonly SearchWork[]): TrialTracker {
  const total = tasks.reduce((sum, { budget }) => sum + trialCount(budget), 0);
  let done = 0;
  progress.begin(
    label,
    tasks.reduce((sum, task) => sum + attackWork(task), 0),
    { uneven: true },
  );
  return {
    skip: (task) => {
      done += trialCount(task.budget);
      progress.skip(attackWork(task));
    },
    trial: ({ steps }) => {
      done++;
      progress.advanceBy(steps, `${done} of ${total} trials`);
    },
    end: () => progress.end(`${done} ${done === 1 ? 'trial' : 'trials'}`),
  };
}
