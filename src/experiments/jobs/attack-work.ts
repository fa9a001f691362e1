import { type AttackTask, stepsOfSearchTrial, trialCount } from '../../attacks/index.js';
import type { PhaseProgress } from '../progress.js';

/** A search, and what its work depends on. */
export type SearchWork = Pick<AttackTask, 'id' | 'steps' | 'budget'>;

/** Optimizer steps of all trials of a search, at most: what a search of 240 steps a trial weighs beside one of 40. */
export function attackWork(search: Omit<SearchWork, 'id'>): number {
  return stepsOfTrials(search, 0, trialCount(search.budget));
}

/** Steps of some of its trials at most, by their place: those of the search come first. */
function stepsOfTrials({ steps, budget }: Omit<SearchWork, 'id'>, from: number, to: number): number {
  const searching = trialCount(budget) - budget.seeds.length;
  const of = (trials: number) =>
    Math.min(trials, searching) * stepsOfSearchTrial(budget, steps) + Math.max(0, trials - searching) * steps;
  return of(to) - of(from);
}

/** Shows how far the searches of an attack have come. */
export interface TrialTracker {
  /** A search that is found finished: by an earlier, interrupted run, or by a part of this one that has counted it. */
  skip(task: SearchWork): void;
  /** Some trials of a search that an interrupted run has done. */
  skipTrials(task: SearchWork, count: number): void;
  /** So many more steps of a search's trials are done. */
  steps(task: SearchWork, more: number): void;
  /** One trial of a search is done, on so many tokens; one that ended early counts in full, for its share of the work is done. */
  trial(task: SearchWork, tokens?: number): void;
  /** All searches are done. */
  end(): void;
}

/** Begins a part of the progress that counts trials in words, and the work that each is of in steps. */
export function trackTrials(progress: PhaseProgress, label: string, tasks: readonly SearchWork[]): TrialTracker {
  const total = tasks.reduce((sum, { budget }) => sum + trialCount(budget), 0);
  let done = 0;
  /** Trials of each search so far. */
  const counted = new Map<string, number>();
  /** Steps of each search that were counted before their trial is done. */
  const ahead = new Map<string, number>();
  const inWords = () => `${done} of ${total} trials`;
  progress.begin(
    label,
    tasks.reduce((sum, task) => sum + attackWork(task), 0),
    { uneven: true },
  );
  return {
    skip: (task) => {
      if (counted.has(task.id)) return;
      counted.set(task.id, trialCount(task.budget));
      done += trialCount(task.budget);
      progress.skip(attackWork(task));
    },
    skipTrials: (task, count) => {
      if (count === 0) return;
      counted.set(task.id, count);
      done += count;
      progress.skip(stepsOfTrials(task, 0, count));
    },
    steps: (task, more) => {
      ahead.set(task.id, (ahead.get(task.id) ?? 0) + more);
      progress.advanceBy(more, inWords());
    },
    trial: (task, tokens) => {
      const before = counted.get(task.id) ?? 0;
      counted.set(task.id, before + 1);
      done++;
      // Of several trials at once, others may have come further than this one.
      const left = stepsOfTrials(task, before, before + 1) - (ahead.get(task.id) ?? 0);
      ahead.set(task.id, Math.max(0, -left));
      progress.advanceBy(Math.max(0, left), inWords(), tokens);
    },
    end: () => progress.end(`${done} ${done === 1 ? 'trial' : 'trials'}`),
  };
}
